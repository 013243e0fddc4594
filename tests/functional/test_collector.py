"""The collector over real namespaces: exact counts, exact figures, and what is missing is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.model.gap import GapCause
from tests.support import traffic
from tests.support.collecting import Collecting
from tests.support.namespaces import Fabric, Namespace
from tests.support.wait import wait_until

pytestmark = pytest.mark.root

MEMBERS = {"client": ("10.233.0.1", "fd33::1"), "server": ("10.233.0.2", "fd33::2"), "other": ("10.233.0.3", "fd33::3")}
V4, V6 = MEMBERS["server"]


class Net:
    """Three workloads on a switch, tracked; the collector lives in a fourth namespace."""

    def __init__(self, fabric: Fabric) -> None:
        self.switch, self.home = fabric.switch(), fabric.namespace("home")
        self.members: dict[str, Namespace] = {}
        for name, (v4, v6) in MEMBERS.items():
            made = self.members[name] = fabric.namespace(name)
            fabric.plug(made, self.switch, f"{v4}/24", f"{v6}/64")
            self.track(made)

    @staticmethod
    def track(member: Namespace) -> None:
        """Rules that use connection tracking switch it on; the enforcer's do."""
        for tool in ("iptables", "ip6tables"):
            member.run(tool, "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")

    def write(self, folder: Path, *names: str) -> None:
        entries = [
            {
                "id": name,
                "name": name,
                "labels": {"role": name},
                "netns_path": str(self.members[name].path),
                "networks": {"lan": {"addresses": list(MEMBERS[name])}},
            }
            for name in names or self.members
        ]
        (folder / "workloads.json").write_text(json.dumps(entries))

    def path(self, name: str) -> Path:
        return self.members[name].path


@pytest.fixture
def net(fabric: Fabric) -> Net:
    return Net(fabric)


@pytest.fixture
def collecting(net: Net, tmp_path: Path) -> Iterator[Collecting]:
    net.write(tmp_path)
    with Collecting(net.home.path, tmp_path) as made:
        wait_until("all are watched", lambda: made.watched(4))
        yield made


@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_a_thousand_connections_are_a_thousand_flows_with_the_kernels_figures(
    net: Net, collecting: Collecting, address: str
) -> None:
    with traffic.TcpEcho(net.path("server"), address) as echo:
        done = traffic.tcp_connections(net.path("client"), address, echo.port, 1000, payload=b"x" * 100)
    rows = wait_until(
        "all have their figures",
        lambda: (
            (found := [row for row in collecting.between("client", "server") if row["src_packets"]])[999:] and found
        ),
        seconds=20,
    )
    assert len(rows) == 1000
    assert sorted(row["src_port"] for row in rows) == sorted(done.sources)
    assert {(row["src_method"], row["dst_method"], row["reporter"]) for row in rows} == {("netns", "netns", "src+dst")}
    header = 20 if address == V4 else 40
    for row in rows:
        # Six to eight packets with TCP options; payload and headers are what was sent, to the byte.
        assert row["src_packets"] >= 5
        assert row["src_bytes"] == 100 + row["src_packets"] * (header + 20) + 12 * (row["src_packets"] - 1) + 20
    assert collecting.status()["lost"] == {}


def test_datagrams_are_counted_both_ways(net: Net, collecting: Collecting) -> None:
    with traffic.UdpEcho(net.path("server"), V4) as echo:
        traffic.udp_exchanges(net.path("other"), V4, echo.port, 50, payload=b"d" * 72)
    rows = wait_until(
        "all have their figures",
        lambda: (found := [row for row in collecting.between("other", "server") if row["dst_packets"]])[49:] and found,
    )
    assert {(row["src_packets"], row["src_bytes"], row["dst_packets"], row["dst_bytes"]) for row in rows} == {
        (1, 100, 1, 100)
    }
    assert len(rows) == 50


def test_a_denied_attempt_is_one_flow_of_both_ends(net: Net, collecting: Collecting) -> None:
    target = ["-p", "tcp", "--dport", "5432"]
    log = ["-j", "NFLOG", "--nflog-group", "21062", "--nflog-prefix", "rf:i:22"]
    net.members["server"].run("iptables", "-A", "INPUT", *target, *log)
    net.members["server"].run("iptables", "-A", "INPUT", *target, "-j", "DROP")
    assert traffic.probe_tcp(net.path("client"), V4, 5432, timeout=1.5) is traffic.Probe.TIMEOUT
    (row,) = wait_until("it is seen", lambda: collecting.between("client", "server", dst_port=5432))
    assert (row["enforced"], row["rule"], row["reporter"]) == ("denied", "app/p/ingress/2", "src+dst")
    assert (row["src_method"], row["dst_method"]) == ("netns", "netns")


def test_an_attempt_denied_at_its_source_ends_as_denied(net: Net, collecting: Collecting) -> None:
    log = ["-j", "NFLOG", "--nflog-group", "21062", "--nflog-prefix", "rf:e:31"]
    for target in (log, ["-j", "DROP"]):
        net.members["client"].run("iptables", "-A", "OUTPUT", "-p", "udp", "--dport", "53", *target)
    assert traffic.probe_udp(net.path("client"), V4, 53, timeout=0.3) in (
        traffic.Probe.TIMEOUT,
        traffic.Probe.UNREACHABLE,
    )
    rows = wait_until(
        "it has ended", lambda: collecting.between("client", "server", dst_port=53, end_reason="denied"), seconds=15
    )
    assert [(row["origin"], row["src_packets"], row["rule"]) for row in rows] == [("nflog", 1, "app/p/egress/1")]


def test_the_mark_of_a_connection_names_its_rule(net: Net, collecting: Collecting) -> None:
    mark = ["-m", "conntrack", "--ctstate", "NEW", "-j", "CONNMARK", "--set-xmark"]
    net.members["client"].run("iptables", "-t", "mangle", "-A", "OUTPUT", *mark, f"{30 << 8:#x}/0xffff00")
    net.members["server"].run("iptables", "-A", "INPUT", *mark, f"{21 << 8:#x}/0xffff00")
    with traffic.TcpEcho(net.path("server"), V4) as echo:
        traffic.tcp_connections(net.path("client"), V4, echo.port, 5)
    rows = wait_until("they are seen", lambda: collecting.between("client", "server")[4:] and collecting.rows())
    found = {
        (row["egress_rule"], row["ingress_rule"], row["rule"]) for row in rows.values() if row["dst_name"] == "server"
    }
    assert found == {("app/p/egress/0", "app/p/ingress/1", "app/p/ingress/1")}


@pytest.mark.parametrize("counting", [True, False], ids=["counted before", "not counted before"])
def test_what_was_there_before_is_found_in_the_tables(net: Net, tmp_path: Path, counting: bool) -> None:
    """Accounting counts connections that began after it was switched on; of others the figures are not known."""
    for member in net.members.values():
        member.sysctl(net__netfilter__nf_conntrack_acct=int(counting))
    with traffic.Download(net.path("client"), net.path("server"), V4, chunk=1000) as download:
        wait_until("it flows", lambda: download.received > 5000)
        net.write(tmp_path)
        with Collecting(net.home.path, tmp_path) as collecting:
            (row,) = wait_until("it is found", lambda: collecting.between("client", "server", tcp_state="established"))
            if counting:
                wait_until(
                    "it grows", lambda: collecting.between("client", "server")[0]["dst_bytes"] > row["dst_bytes"]
                )
            else:
                assert (row["src_bytes"], row["dst_bytes"]) == (None, None)
            (again,) = collecting.between("client", "server")
            assert again["flow_id"] == row["flow_id"]


def test_after_a_kill_nothing_is_counted_twice_and_the_gap_is_said(net: Net, collecting: Collecting) -> None:
    with (
        traffic.TcpEcho(net.path("server"), V4) as echo,
        traffic.Download(net.path("client"), net.path("server"), V4, chunk=1000) as download,
    ):
        sources: list[int] = []
        for _ in range(4):
            sources += traffic.tcp_connections(net.path("client"), V4, echo.port, 50).sources
            collecting.kill()
            sources += traffic.tcp_connections(net.path("client"), V4, echo.port, 50).sources
            collecting.start()
        wait_until("all are seen", lambda: len(collecting.between("client", "server", dst_port=echo.port)) >= 400)
        rows = collecting.between("client", "server", dst_port=echo.port)
        assert sorted(row["src_port"] for row in rows) == sorted(sources)
        (long,) = collecting.between("client", "server", dst_port=download.port)
        assert long["end_reason"] is None
    assert [gap.cause for gap in collecting.gaps()] == [GapCause.NOT_RUNNING] * 4


def test_a_workload_that_ends_leaves_exact_final_rows_and_no_watch(
    net: Net, collecting: Collecting, tmp_path: Path
) -> None:
    with traffic.TcpEcho(net.path("server"), V4) as echo:
        traffic.tcp_connections(net.path("client"), V4, echo.port, 20)
    wait_until("they are seen", lambda: len(collecting.between("client", "server")) == 20)
    net.write(tmp_path, "server", "other")
    wait_until("it is let go", lambda: collecting.status()["namespaces"] == 3)
    wait_until("all are final", lambda: len(collecting.between("client", "server", end_reason="closed")) == 20)
    assert all(row["src_packets"] for row in collecting.between("client", "server"))


def test_loopback_is_left_out(net: Net, collecting: Collecting) -> None:
    with traffic.TcpEcho(net.path("server"), "127.0.0.1") as echo:
        traffic.tcp_connections(net.path("server"), "127.0.0.1", echo.port, 10)
    wait_until("they are counted", lambda: collecting.status()["discarded"]["loopback"] >= 10)
    assert not [row for row in collecting.rows().values() if row["dst_port"] == echo.port]
