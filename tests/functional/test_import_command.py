"""`ringfence import` through the command line: into the store alone, beside a running service, and without root."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringfence.config import load
from ringfence.store.flows import FlowQuery
from ringfence.store.open import open_flow_store
from tests.support.captures import connection, ethernet, pcap
from tests.support.repository import ROOT
from tests.support.servers import free_port
from tests.support.service import RunningService
from tests.support.wait import wait_until

AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
"""Not root and without any capability, while Python, wherever it is installed, can still be read."""
CONNECTIONS = 30
QUIET = {"docker.endpoints": "", "capture.enabled": "false", "enforce.enabled": "false"}


def write_capture(path: Path, *, start: float = 1_700_000_000.0) -> Path:
    """`CONNECTIONS` whole TCP connections, 7 packets each."""
    pairs = [(f"10.0.0.1:{2000 + number}", "10.0.0.2:80") for number in range(CONNECTIONS)]
    frames = [ethernet(packet) for pair in pairs for packet in connection(*pair)]
    path.write_bytes(pcap(frames, start=start))
    return path


def command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ringfence.cli", "--set", f"general.data_dir={data}", *arguments]


def run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def stored(data: Path) -> list[dict[str, object]]:
    store = open_flow_store(load(environment={}, flags={"general.data_dir": data}))
    try:
        window = FlowQuery(start=datetime(2023, 1, 1, tzinfo=UTC), end=datetime(2024, 1, 1, tzinfo=UTC))
        return list(store.search(window, limit=500).rows)
    finally:
        store.close()


def test_a_capture_is_in_the_store_when_the_command_ends(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "shop.pcap")
    done = run(command(tmp_path / "data", "import", str(capture)))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "shop.pcap: 210 packets, 30 flows\n"
    rows = stored(tmp_path / "data")
    assert {row["src_port"] for row in rows} == set(range(2000, 2000 + CONNECTIONS))
    assert {(row["host"], row["src_packets"], row["dst_packets"]) for row in rows} == {("shop.pcap", 4, 3)}


def test_a_capture_imported_twice_is_stored_once(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "shop.pcap")
    for _ in range(2):
        assert run(command(tmp_path / "data", "import", str(capture))).returncode == 0
    assert len(stored(tmp_path / "data")) == CONNECTIONS


def test_a_truncated_capture_gives_what_can_be_read_and_says_so(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "cut.pcap")
    capture.write_bytes(capture.read_bytes()[:-10])
    done = run(command(tmp_path / "data", "import", str(capture)))
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) >= 2, "the cut is told"
    assert len(stored(tmp_path / "data")) == CONNECTIONS


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3\xb2\xa1", bytes(range(256)) * 64], ids=["empty", "cut", "hostile"])
def test_a_file_that_is_no_capture_leaves_nothing_behind(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pcap").write_bytes(content)
    done = run(command(tmp_path / "data", "import", str(tmp_path / "bad.pcap")))
    assert done.returncode == 1
    assert done.stderr.startswith("ringfence: bad.pcap ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.root
def test_neither_root_nor_docker_is_needed(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "shop.pcap")
    data = tmp_path / "data"
    done = run([*AS_NOBODY, *command(data, "import", str(capture))])
    assert (done.returncode, done.stderr) == (0, "")
    assert len(stored(data)) == CONNECTIONS


@pytest.mark.root
def test_beside_a_running_service_the_flows_appear_there(tmp_path: Path) -> None:
    start = datetime.now(UTC).timestamp() - 600
    capture = write_capture(tmp_path / "shop.pcap", start=start)
    with RunningService(None, tmp_path, settings={**QUIET, "web.port": str(free_port())}) as service:
        done = service.run("import", str(capture))
        assert done.returncode == 0
        assert "the running Ringfence takes them over in a moment" in done.stdout
        rows = wait_until("they are there", lambda: service.flows("destination.port: 80"), seconds=20, every=0.5)
        assert len(rows) == CONNECTIONS
        assert {row["origin"] for row in rows} == {"pcap"}
        assert list((tmp_path / "data" / "imports").iterdir()) == []
