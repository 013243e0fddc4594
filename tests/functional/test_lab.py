"""The lab is what it says: every stock Docker network carries traffic, and nothing is left afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence.demo import netns
from ringfence.demo.engine import CGROUPS, processes_of
from tests.support import namespaces, traffic
from tests.support.containers import Container
from tests.support.lab import Lab, LabHost
from tests.support.repository import ROOT
from tests.support.traffic import Probe
from tests.support.wait import wait_until

pytestmark = pytest.mark.docker


def talk(client: Container, server: Container, address: str, count: int = 20) -> None:
    """Both transports carry exactly `count` exchanges."""
    with traffic.TcpEcho(server.netns_path, address) as tcp, traffic.UdpEcho(server.netns_path, address) as udp:
        traffic.tcp_connections(client.netns_path, address, tcp.port, count)
        traffic.udp_exchanges(client.netns_path, address, udp.port, count)
        assert (tcp.connections, udp.datagrams) == (count, count)


def test_containers_on_a_bridge_talk_over_both_families(lab_host: LabHost) -> None:
    shop = lab_host.network("shop")
    web = lab_host.run("web", network=shop, labels={"role": "web"})
    api = lab_host.run("api", network=shop)
    for version in (4, 6):
        talk(web, api, api.address(version))
    assert web.labels == {"role": "web"}
    assert web.netns != api.netns


def test_containers_find_one_another_by_name(lab_host: LabHost) -> None:
    shop = lab_host.network("shop")
    lab_host.run("api", network=shop, command=("httpd", "-f", "-p", "8080", "-h", "/www"))
    web = lab_host.run("web", network=shop)
    assert "shop" in wait_until("httpd answers", lambda: web.exec("wget", "-qO-", "http://api:8080/", check=False))


def test_an_internal_network_has_no_way_out(lab_host: LabHost, shared_lab: Lab) -> None:
    lab_host.network("inside", internal=True)
    one, two = lab_host.run("one", network="inside"), lab_host.run("two", network="inside")
    for version in (4, 6):
        talk(one, two, two.address(version))
    free = lab_host.run("free", network=lab_host.network("shop"))
    with traffic.TcpEcho(shared_lab.outside().path, "192.168.77.200") as echo:
        assert traffic.probe_tcp(free.netns_path, echo.address, echo.port) is Probe.OPEN
        assert traffic.probe_tcp(one.netns_path, echo.address, echo.port, timeout=0.5) is not Probe.OPEN
        assert echo.peers == {lab_host.address: 1}


def test_a_container_reaches_its_host_and_the_lab_but_not_this_machine(lab_host: LabHost) -> None:
    one = lab_host.run("one", network=lab_host.network("shop"))
    with traffic.TcpEcho(lab_host.namespace.path, lab_host.address) as echo:
        traffic.tcp_connections(one.netns_path, lab_host.address, echo.port, 5)
    assert "default" not in lab_host.namespace.run("ip", "route")
    assert traffic.probe_tcp(one.netns_path, "198.51.100.7", 80, timeout=0.5) is not Probe.OPEN


def test_the_default_bridge_works(lab_host: LabHost) -> None:
    one, two = lab_host.run("one"), lab_host.run("two")
    talk(one, two, two.address(4))


def test_a_host_container_shares_the_hosts_namespace(lab_host: LabHost) -> None:
    node = lab_host.run("node", network="host")
    peer = lab_host.run("peer", network=lab_host.network("shop"))
    assert node.netns == lab_host.namespace.inode
    for address in (lab_host.address, lab_host.address6):
        if ":" not in address:
            talk(peer, node, address)
    node.start_inside("httpd", "-f", "-p", "8099", "-h", "/www")
    wait_until("it listens", lambda: traffic.probe_tcp(peer.netns_path, lab_host.address, 8099) is Probe.OPEN)


def test_a_container_without_network_has_loopback_only(lab_host: LabHost) -> None:
    alone = lab_host.run("alone", network="none")
    assert alone.exec("ls", "/sys/class/net").split() == ["lo"]
    talk(alone, alone, "127.0.0.1")


def test_a_container_shares_anothers_namespace(lab_host: LabHost) -> None:
    shop = lab_host.network("shop")
    web, client = lab_host.run("web", network=shop), lab_host.run("client", network=shop)
    side = lab_host.run("side", network=f"container:{web.id}")
    assert side.netns == web.netns
    for version in (4, 6):
        talk(client, side, web.address(version))


def test_a_published_port_is_reached_from_another_host(lab_pair: Lab) -> None:
    first, second = lab_pair.hosts
    web = first.run("web", network=first.network("shop"), publish={8080: 18080})
    with traffic.TcpEcho(web.netns_path, web.address(4), 8080) as tcp:
        traffic.tcp_connections(second.namespace.path, first.address, 18080, 50)
        assert (tcp.connections, tcp.peers) == (50, {second.address: 50})
    with traffic.UdpEcho(web.netns_path, web.address(4), 8080) as udp:
        traffic.udp_exchanges(second.namespace.path, first.address, 18080, 50)
        assert udp.datagrams == 50


def test_an_overlay_joins_containers_on_two_hosts(lab_pair: Lab) -> None:
    first, second = lab_pair.hosts
    over = first.network("over", driver="overlay")
    one, two = first.run("one", network=over), second.run("two", network=over)
    talk(one, two, two.address(4, over), count=100)
    talk(two, one, one.address(4, over), count=100)


def test_macvlan_joins_containers_on_two_hosts(lab_pair: Lab) -> None:
    first, second = lab_pair.hosts
    lan = lab_pair.macvlan("lan")
    one, two, three = first.run("one", network=lan), second.run("two", network=lan), first.run("three", network=lan)
    for version in (4, 6):
        talk(one, two, two.address(version), count=100)
        talk(one, three, three.address(version), count=100)


def test_a_container_joins_and_leaves_networks(lab_host: LabHost) -> None:
    lab_host.network("front")
    lab_host.network("back")
    api = lab_host.run("api", network="front", networks=("back",))
    assert set(api.addresses) == {"front", "back"}
    api.disconnect("back")
    assert set(api.addresses) == {"front"}
    old = api.pid
    api.restart()
    assert api.pid not in {0, old}


def test_capabilities_and_labels_reach_the_engine(lab_host: LabHost) -> None:
    admin = lab_host.run("admin", network="none", capabilities=("NET_ADMIN",))
    assert admin.attributes["HostConfig"]["CapAdd"] == ["NET_ADMIN"]


def test_a_lab_leaves_nothing_behind() -> None:
    with Lab(hosts=1) as lab:
        host = lab.host
        folder, name = host.engine.folder, host.namespace.name
        ids = [host.run(f"c{number}", network=host.network(f"n{number}")).id for number in range(2)]
        assert list(processes_of(folder))
    assert list(processes_of(folder)) == []
    assert (folder.exists(), netns.exists(name)) == (False, False)
    assert str(folder) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert [item for key in ids for item in CGROUPS.glob(f"**/docker/{key}")] == []


def test_a_killed_engine_leaves_nothing_either() -> None:
    with Lab(hosts=1) as lab:
        engine = lab.host.engine
        made = lab.host.run("orphan")
        pid = made.pid
        engine.kill()
        wait_until("its container ended with it", lambda: not Path(f"/proc/{pid}").exists())
    assert (list(processes_of(engine.folder)), engine.folder.exists(), engine.pid) == ([], False, None)
    assert list(CGROUPS.glob(f"**/docker/{made.id}")) == []


SCRIPT = """
import os, signal
from tests.support.lab import Lab

with Lab(hosts=2, swarm=True) as lab:
    made = lab.host.run("orphan", network=lab.host.network("over", driver="overlay"))
    print(made.pid, made.id, *(host.engine.folder for host in lab.hosts), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_swept_away() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid, container, *folders = done.stdout.split()
    assert Path(f"/proc/{pid}").exists()
    namespaces.sweep()
    wait_until("its container ended", lambda: not Path(f"/proc/{pid}").exists())
    for folder in map(Path, folders):
        assert (list(processes_of(folder)), folder.exists()) == ([], False)
        assert str(folder) not in Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert list(CGROUPS.glob(f"**/docker/{container}")) == []


def test_a_failing_test_still_clears_the_host(shared_lab: Lab) -> None:
    with pytest.raises(ZeroDivisionError), shared_lab.cleared() as lab:
        lab.host.run("doomed", network=lab.host.network("doomed"))
        raise ZeroDivisionError
    assert shared_lab.host.client.containers.list(all=True) == []
    assert {item.name for item in shared_lab.host.client.networks.list()} == {"bridge", "host", "none"}
