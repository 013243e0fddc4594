"""A capture made by tcpdump, imported: the flows are tshark's conversations, packet for packet and byte for byte."""

from __future__ import annotations

import gzip
import re
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pyarrow.compute as pc
import pytest

from collector.pcap import ImportResult, import_capture
from tests.support import traffic
from tests.support.namespaces import Fabric
from tests.support.require import require

pytestmark = pytest.mark.root

V4, V6 = "10.234.0.2", "fd34::2"
_LINE = re.compile(r"^(\S+)\s+<->\s+(\S+)\s+(\d+)\s+(\d+)\s+bytes\s+(\d+)\s+(\d+)\s+bytes")


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same traffic, captured on the interface and on `any` (Linux cooked), and with other link layers put round."""
    require("namespaces", "tcpdump", "tshark")
    folder = tmp_path_factory.mktemp("captures")
    with Fabric() as fabric:
        client, server = fabric.namespace("client"), fabric.namespace("server")
        fabric.wire(client, server, ["10.234.0.1/24", "fd34::1/64"], [f"{V4}/24", f"{V6}/64"])
        dumps = [
            client.popen(
                "tcpdump",
                "-i",
                interface,
                "-U",
                "-s",
                "200",
                "-w",
                str(folder / name),
                *extra,
                stderr=subprocess.DEVNULL,
            )
            for interface, name, extra in (
                ("w0a", "ethernet.pcap", ("-Z", "root")),
                ("any", "cooked.pcap", ("-Z", "root", "-y", "LINUX_SLL")),
                ("any", "cooked2.pcap", ("-Z", "root", "-y", "LINUX_SLL2")),
            )
        ]
        time.sleep(1.0)
        for address in (V4, V6):
            with traffic.TcpEcho(server.path, address) as tcp, traffic.UdpEcho(server.path, address) as udp:
                traffic.tcp_connections(client.path, address, tcp.port, 100, payload=b"p" * 3000)
                traffic.udp_exchanges(client.path, address, udp.port, 40)
            traffic.probe_tcp(client.path, address, 9)
            traffic.probe_udp(client.path, address, 9)
        time.sleep(1.5)
        for dump in dumps:
            dump.send_signal(signal.SIGINT)
            dump.wait(10)
    for name, kind in (("ethernet", "pcapng"), ("cooked2", "pcapng")):
        subprocess.run(
            ["editcap", "-F", kind, folder / f"{name}.pcap", folder / f"{name}.pcapng"], check=True, capture_output=True
        )
    (folder / "ethernet.pcap.gz").write_bytes(gzip.compress((folder / "ethernet.pcap").read_bytes()))
    plain = (folder / "ethernet.pcap").read_bytes()
    tag, outer = b"\x81\x00\x00\x2a", b"\x88\xa8\x00\x07"
    (folder / "vlan.pcap").write_bytes(rewrite(plain, 1, lambda frame: frame[:12] + tag + frame[12:]))
    (folder / "qinq.pcap").write_bytes(rewrite(plain, 1, lambda frame: frame[:12] + outer + tag + frame[12:]))
    (folder / "raw.pcap").write_bytes(
        rewrite(plain, 101, lambda frame: frame[14:] if frame[14] >> 4 in (4, 6) and frame[12] in (8, 0x86) else b"")
    )
    return {path.name: path for path in folder.iterdir()}


def rewrite(data: bytes, link: int, change: Callable[[bytes], bytes]) -> bytes:
    """A pcap with other frames and the same times; frames that become empty are left out."""
    parts, place = [data[:20] + struct.pack("<I", link)], 24
    while place < len(data):
        seconds, micros, size, wire = struct.unpack_from("<IIII", data, place)
        frame = change(data[place + 16 : place + 16 + size])
        if frame:
            parts.append(struct.pack("<IIII", seconds, micros, len(frame), wire + len(frame) - size) + frame)
        place += 16 + size
    return b"".join(parts)


def tshark(path: Path, kind: str) -> Counter[frozenset[tuple[str, int, int]]]:
    """Conversations: for each end its name, frames and bytes sent."""
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-q", "-z", f"conv,{kind}"], check=True, capture_output=True, text=True
    )
    found: Counter[frozenset[tuple[str, int, int]]] = Counter()
    for line in done.stdout.splitlines():
        match = _LINE.match(line)
        if match:
            left, right, to_left, left_bytes, to_right, right_bytes = match.groups()
            # tshark's first figures are what the right end sent to the left one.
            ends = (left, int(to_right), int(right_bytes)), (right, int(to_left), int(left_bytes))
            found[frozenset(ends)] += 1
    return found


def per_address(path: Path, version: int) -> Counter[frozenset[tuple[str, int, int]]]:
    """Frames and bytes per pair of addresses; from tshark's fields, since `conv,ip` rounds to kilobytes."""
    name = "ip" if version == 4 else "ipv6"
    fields = [part for field in ("frame.len", f"{name}.src", f"{name}.dst") for part in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-Y", name, "-T", "fields", "-E", "occurrence=f", *fields],
        check=True,
        capture_output=True,
        text=True,
    )
    sums: dict[frozenset[str], dict[str, list[int]]] = {}
    for line in done.stdout.splitlines():
        size, source, destination = line.split("\t")
        pair = sums.setdefault(frozenset((source, destination)), {source: [0, 0], destination: [0, 0]})
        pair[source][0] += 1
        pair[source][1] += int(size)
    return Counter(frozenset((end, *figures) for end, figures in pair.items()) for pair in sums.values())


def imported(result: ImportResult, transport: str) -> Counter[frozenset[tuple[str, int, int]]]:
    """The same of our flows, with bytes on the wire."""
    assert result.frame_bytes is not None
    frames = {row["flow_id"]: row for row in result.frame_bytes.to_pylist()}
    found: Counter[frozenset[tuple[str, int, int]]] = Counter()
    for row in result.table.filter(pc.equal(result.table["transport"], transport)).to_pylist():
        sizes = frames[row["flow_id"]]
        found[
            frozenset(
                (f"{row[f'{side}_ip']}:{row[f'{side}_port']}", row[f"{side}_packets"], sizes[f"{side}_frame_bytes"])
                for side in ("src", "dst")
            )
        ] += 1
    return found


def by_address(result: ImportResult, version: int) -> Counter[frozenset[tuple[str, int, int]]]:
    """All flows of a family, summed per pair of addresses."""
    assert result.frame_bytes is not None
    frames = {row["flow_id"]: row for row in result.frame_bytes.to_pylist()}
    sums: dict[frozenset[str], dict[str, list[int]]] = {}
    for row in result.table.filter(pc.equal(result.table["ip_version"], version)).to_pylist():
        pair = sums.setdefault(
            frozenset((row["src_ip"], row["dst_ip"])), {row["src_ip"]: [0, 0], row["dst_ip"]: [0, 0]}
        )
        for side in ("src", "dst"):
            pair[row[f"{side}_ip"]][0] += row[f"{side}_packets"]
            pair[row[f"{side}_ip"]][1] += frames[row["flow_id"]][f"{side}_frame_bytes"]
    return Counter(frozenset((end, *figures) for end, figures in pair.items()) for pair in sums.values())


FILES = [
    "ethernet.pcap",
    "ethernet.pcap.gz",
    "ethernet.pcapng",
    "cooked.pcap",
    "cooked2.pcap",
    "cooked2.pcapng",
    "raw.pcap",
    "vlan.pcap",
    "qinq.pcap",
]


@pytest.mark.parametrize("name", FILES)
def test_flows_are_tsharks_conversations(captures: dict[str, Path], name: str) -> None:
    path = captures[name]
    result = import_capture(path, "lab")
    assert (result.problems, result.unreadable) == ((), 0)
    for transport in ("tcp", "udp"):
        expected = tshark(path, transport)
        assert sum(expected.values()) >= (200 if transport == "tcp" else 80)
        assert imported(result, transport) == expected
    for version in (4, 6):
        assert by_address(result, version) == per_address(path, version)


@pytest.mark.parametrize(
    ("name", "link", "vlan"),
    [("ethernet.pcap", 14, None), ("vlan.pcap", 18, 42), ("qinq.pcap", 22, 7), ("raw.pcap", 0, None)],
)
def test_bytes_are_those_of_ip_and_frames_have_their_link_layer_more(
    captures: dict[str, Path], name: str, link: int, vlan: int | None
) -> None:
    result = import_capture(captures[name], "lab")
    assert result.frame_bytes is not None
    sizes = {row["flow_id"]: row for row in result.frame_bytes.to_pylist()}
    for row in result.table.to_pylist():
        assert sizes[row["flow_id"]]["src_frame_bytes"] == row["src_bytes"] + link * row["src_packets"]
    assert set(result.table["vlan"].to_pylist()) == {vlan}


def test_handshakes_are_measured_and_ends_are_told(captures: dict[str, Path]) -> None:
    rows = import_capture(captures["ethernet.pcap"], "lab").table.to_pylist()
    whole = [row for row in rows if row["transport"] == "tcp" and row["dst_port"] != 9]
    assert all(0 < row["handshake_us"] < 1_000_000 for row in whole)
    assert {row["tcp_state"] for row in rows if row["dst_port"] == 9 and row["transport"] == "tcp"} == {"close"}
    assert {ip_address(row["src_ip"]).version for row in whole} == {4, 6}


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_gives_a_part_of_the_whole_and_says_so(
    captures: dict[str, Path], name: str, tmp_path: Path
) -> None:
    data = captures[name].read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3 + 1])
    result, whole = import_capture(tmp_path / name, "lab"), import_capture(captures[name], "lab")
    assert 0 < result.packets < whole.packets
    assert result.problems
    assert [gap.lost for gap in result.gaps] == [None]
