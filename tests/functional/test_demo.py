"""The demo's shop opens, talks, misbehaves when told, and leaves nothing: with and without Docker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import docker
import pytest

from audit.log import verify
from collector import sysctl
from enforcer.cgroup import receive
from enforcer.netns import everywhere
from enforcer.scope import cgroup_mount
from ringfence.config import load
from ringfence.demo import containers, namespaces, netns, program, show
from ringfence.demo.engine import processes_of
from ringfence.demo.shop import SHOP
from ringfence.demo.show import Place, Stage
from ringfence.errors import Conflict, RingfenceError
from ringfence.lock import OWN_NAMESPACE, RUN, HostLock
from ringfence.model.quarantine import QuarantineState
from ringfence.store.open import open_state_store
from ringfence.store.state import Role, State, User
from tests.support import traffic
from tests.support.lab import LabHost
from tests.support.namespaces import Fabric, unique_name
from tests.support.require import require
from tests.support.traffic import Probe
from tests.support.wait import wait_until
from web.api_tokens import create_api_token

pytestmark = pytest.mark.root

NEWCOMER_SECONDS = 60


@pytest.fixture
def place(fabric: Fabric) -> Iterator[Place]:
    """A place of the test's own; whatever the test does, it is taken down."""
    found = Place(folder=fabric.folder("demo"), namespace=unique_name("demo"), socket="unix:///run/no-such.sock")
    yield found
    show.down(found, say=lambda _: None)


def connections(netns_path: Path | str, *, where: str) -> set[str]:
    """The other ends of the TCP connections in the namespace, also of those that ended within a minute."""
    listed = subprocess.run(
        ["nsenter", f"--net={netns_path}", "--", "ss", "-Htan", where], capture_output=True, text=True, check=True
    )
    ends = (line.split()[4] for line in listed.stdout.splitlines() if "LISTEN" not in line)
    return {end.rpartition(":")[0].strip("[]") for end in ends}


def used(database: str) -> bool:
    """Have two others (api and batch) connected to the database?"""
    return len(connections(database, where="sport = :5432")) >= 2


def test_the_shop_runs_on_an_engine_of_its_own_and_goes_away(place: Place) -> None:
    require("docker")
    assert show.choose(place) is Stage.OWN_ENGINE
    show.build_shop(place, Stage.OWN_ENGINE)
    with closing(docker.DockerClient(base_url=place.engine.url)) as client:
        running = {item.name: item for item in client.containers.list()}
        assert set(running) == {f"shop-{member.name}" for member in SHOP}
        database = f"/proc/{running['shop-db'].attrs['State']['Pid']}/ns/net"
        wait_until("api and batch use the database", lambda: used(database), seconds=15)
        coupon = f"/proc/{running['shop-coupon'].attrs['State']['Pid']}/ns/net"
        assert connections(coupon, where="dport = :5432") == set()
        show.compromise(place, Stage.OWN_ENGINE)
        wait_until("coupon scans the database", lambda: connections(coupon, where="dport = :5432"), seconds=15)
    show.down(place, say=lambda _: None)
    assert (list(processes_of(place.folder)), place.folder.exists(), netns.exists(place.namespace)) == (
        [],
        False,
        False,
    )
    assert str(place.folder) not in Path("/proc/self/mounts").read_text(encoding="utf-8")


def test_the_shop_on_an_engine_that_was_there_leaves_the_engine_as_it_was(lab_host: LabHost, fabric: Fabric) -> None:
    mine = lab_host.run("mine", network=lab_host.network("mynet"))
    place = Place(folder=fabric.folder("demo"), namespace=unique_name("demo"), socket=lab_host.url)
    assert show.choose(place) is Stage.EXISTING_ENGINE
    before = {item.id for item in lab_host.client.images.list()}
    containers.place(place.socket)
    assert len(lab_host.client.containers.list()) == len(SHOP) + 1
    assert containers.remove(place.socket) == len(SHOP) + 2 + 1
    assert [item.id for item in lab_host.client.containers.list()] == [mine.id]
    assert {item.name for item in lab_host.client.networks.list()} == {"bridge", "host", "none", "mynet"}
    assert {item.id for item in lab_host.client.images.list()} == before
    assert containers.remove(place.socket) == 0


def test_the_engine_that_was_there_keeps_none_of_our_rules_and_settings(lab_host: LabHost, fabric: Fabric) -> None:
    mine = lab_host.run("mine", network=lab_host.network("mynet"))

    def settings() -> str:
        names = [f"net.netfilter.{name}" for name in sysctl.SETTINGS]
        return subprocess.run(mine.nsenter("sysctl", *names), capture_output=True, text=True, check=True).stdout

    def rules() -> str:
        read = (mine.nsenter("iptables-save"), mine.nsenter("ip6tables-save"), mine.nsenter("ipset", "list"))
        return "".join(subprocess.run(argv, capture_output=True, text=True, check=True).stdout for argv in read)

    place = Place(folder=fabric.folder("demo"), namespace=unique_name("demo"), socket=lab_host.url, port=18845)
    before = settings()
    try:
        show.up(place, say=lambda _: None, wait=lambda _: None)
        wait_until("our rules are in it", lambda: "ringfence" in rules().lower(), seconds=30)
        assert settings() != before
    finally:
        show.down(place, say=lambda _: None)
    assert "ringfence" not in rules().lower()
    assert settings() == before
    assert [item.id for item in lab_host.client.containers.list(all=True)] == [mine.id]


def test_while_its_engine_is_stopped_the_demo_is_not_called_gone(lab_host: LabHost, fabric: Fabric) -> None:
    place = Place(folder=fabric.folder("demo"), namespace=unique_name("demo"), socket=lab_host.url)
    show.build_shop(place, Stage.EXISTING_ENGINE)
    away = replace(place, socket="unix:///run/no-such.sock")
    said: list[str] = []
    with pytest.raises(RingfenceError, match="does not answer") as caught:
        show.down(away, say=said.append)
    assert "start Docker" in caught.value.hint
    assert (said, (place.folder / show.STAGE).exists()) == ([], True)
    show.down(place, say=said.append)
    assert (said, place.folder.exists()) == (["The demo is gone."], False)
    assert lab_host.client.containers.list(all=True) == []


def test_a_strangers_container_on_a_network_of_the_shop_is_named_and_nothing_is_forgotten(
    lab_host: LabHost, fabric: Fabric
) -> None:
    place = Place(folder=fabric.folder("demo"), namespace=unique_name("demo"), socket=lab_host.url)
    show.build_shop(place, Stage.EXISTING_ENGINE)
    mine = lab_host.run("mine", network="shop-frontend")
    with pytest.raises(RingfenceError, match="shop-frontend"):
        show.down(place, say=lambda _: None)
    assert (place.folder / show.STAGE).exists()
    assert mine.exec("true") == ""
    mine.remove()
    show.down(place, say=lambda _: None)
    assert not place.folder.exists()
    assert {item.name for item in lab_host.client.networks.list()} == {"bridge", "host", "none"}


def test_beside_another_ringfence_the_demo_is_refused_and_takes_nothing_from_it(place: Place) -> None:
    with HostLock(), pytest.raises(Conflict, match="runs on this host"):
        show.up(place, say=lambda _: None)
    assert list(place.folder.iterdir()) == []
    said: list[str] = []
    (place.folder / show.STAGE).write_text(Stage.OWN_ENGINE.name)
    with HostLock():
        show.down(place, say=said.append)
    assert len(said) == 2 and "stay: another Ringfence" in said[0], said


def test_what_an_isolated_container_on_the_hosts_network_received_is_received_again(place: Place) -> None:
    require("cgroup2")
    cgroup = Path(cgroup_mount(Path("/proc/self/mounts").read_text(encoding="utf-8")), unique_name("demo"))
    place.folder.mkdir(exist_ok=True)
    (place.folder / show.STAGE).write_text(Stage.NAMESPACES.name)
    cgroup.mkdir()
    try:
        assert receive(str(cgroup), allowed=False)
        show.down(place, say=lambda _: None)
        assert not receive(str(cgroup), allowed=True), "nothing of ours is left to be taken away"
    finally:
        cgroup.rmdir()


def test_without_docker_plain_namespaces_stand_in(place: Place) -> None:
    require("busybox")
    assert show.choose(place, find=lambda _: None) is Stage.NAMESPACES
    show.build_shop(place, Stage.NAMESPACES)
    listed = {item["name"]: item for item in namespaces.inventory()}
    assert (place.folder / "data" / namespaces.INVENTORY).exists()
    database = listed["shop-db"]["netns_path"]
    wait_until("api and batch use the database", lambda: used(database), seconds=15)
    v4, v6 = listed["shop-db"]["networks"]["shop-backend"]["addresses"]
    for address in (v4, v6):
        assert traffic.probe_tcp(listed["shop-api"]["netns_path"], address, 5432) is Probe.OPEN
        assert traffic.probe_tcp(listed["shop-web"]["netns_path"], address, 5432) is Probe.UNREACHABLE
    coupon = listed["shop-coupon"]["netns_path"]
    assert connections(coupon, where="dport = :5432") == set()
    show.compromise(place, Stage.NAMESPACES)
    wait_until("coupon scans the database", lambda: connections(coupon, where="dport = :5432"), seconds=15)
    show.down(place, say=lambda _: None)
    assert list(netns.FOLDER.glob(f"{namespaces.PREFIX}*")) == []
    assert list(processes_of(place.folder)) == []


def test_going_down_twice_is_no_error(place: Place) -> None:
    said: list[str] = []
    show.down(place, say=said.append)
    show.down(place, say=said.append)
    assert said == ["The demo is gone.", "The demo is gone."]


def traces(place: Place) -> dict[str, object]:
    """Everything the demo could leave on this machine."""

    def printed(*argv: str) -> str:
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return re.sub(r"\[\d+:\d+\]|^#.*$|packets \d+ bytes \d+", "", text, flags=re.MULTILINE)

    rules = ("iptables-save",), ("ip6tables-save",), ("ipset", "list"), ("nft", "list", "ruleset")
    return {
        "rules": [printed(*argv) for argv in rules],
        "sysctls": printed("sysctl", *(f"net.netfilter.{name}" for name in sysctl.SETTINGS)),
        "namespaces": [
            item.name
            for item in netns.FOLDER.glob("*")
            if item.name == place.namespace or item.name.startswith(namespaces.PREFIX)
        ],
        "processes": list(processes_of(place.folder)),
        "folder": place.folder.exists() and list(place.folder.iterdir()),
        "mounts": str(place.folder) in Path("/proc/self/mounts").read_text(encoding="utf-8"),
        "lock and former settings": [
            str(item) for item in RUN.rglob("*") if str(OWN_NAMESPACE.stat().st_ino) in item.name
        ],
        "settings of what is gone": [
            item.name for item in sysctl.MEMORY.glob("[0-9]*") if int(item.name) not in everywhere()
        ],
    }


class Living:
    """What is done in the calm before the attack: waits until the dashboard shows connections, and remembers when."""

    def __init__(self, place: Place) -> None:
        self._place, self._began, self.after = place, time.monotonic(), 0.0

    def __call__(self, _: float) -> None:
        config = load(file=self._place.folder / program.CONFIG, environment={})
        viewer = User(name="viewer", role=Role.VIEWER, password_hash="!")
        with closing(open_state_store(config)) as state:
            state.users.save(viewer)
            token = create_api_token(state, viewer, datetime.now(UTC))
        url = f"http://{config.web.address}:{config.web.port}/api/v1/flows"
        wait_until("connections are shown", lambda: self._flows(url, token), seconds=NEWCOMER_SECONDS, every=0.2)
        self.after = time.monotonic() - self._began
        time.sleep(5)

    @staticmethod
    def _flows(url: str, token: str) -> bool:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 -- ours
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 -- the demo's own address
            return bool(json.load(answer)["flows"])


@pytest.mark.parametrize("stage", [Stage.OWN_ENGINE, Stage.NAMESPACES], ids=["docker", "no docker"])
def test_from_nothing_to_a_quarantine_and_back_to_nothing(place: Place, stage: Stage) -> None:
    require("docker" if stage is Stage.OWN_ENGINE else "busybox", "iptables", "ipset", "nft")
    said: list[str] = []
    place = replace(place, stage=stage, port=18844)
    before = traces(place)
    living = Living(place)
    link = show.up(place, say=said.append, wait=living)
    assert any(link in line for line in said)
    sys.stdout.write(f"{stage.value}: the dashboard lives after {living.after:.0f} s\n")
    assert living.after < NEWCOMER_SECONDS
    with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310 -- the demo's own address
        assert answer.status == 200
    config = load(file=place.folder / program.CONFIG, environment={})
    with closing(open_state_store(config)) as state:
        assert len(state.workloads.current()) >= len(SHOP)
        contained = wait_until("coupon is contained", lambda: verified(state), seconds=40, every=0.5)
        assert contained == {"shop-coupon"}
        for said_so in ("shop-batch may not reach shop-cache", "shop-coupon may not reach shop-db"):
            wait_until(said_so, lambda words=said_so: reported(state, words), seconds=30, every=0.5)
    assert verify(config.general.data_dir / "audit").ok
    with pytest.raises(Conflict):
        show.up(place, say=said.append)
    show.down(place, say=said.append)
    assert traces(place) == {**before, "folder": False, "settings of what is gone": []}


def verified(state: State) -> set[str]:
    """Names of the workloads whose quarantine is proven."""
    return {item.workload_name for item in state.quarantines.active() if item.state is QuarantineState.VERIFIED}


def reported(state: State, words: str) -> bool:
    """Is there a finding that says so?"""
    return any(words in finding.sentence for finding in state.findings.list())
