"""The engine's watcher: listings are the truth, events only say when to look, and failures are a state."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import NotFound

from collector.docker import DockerWatcher, engine_pid, explain, host_workload
from collector.inventory import Inventory
from ringfence.model.workload import Containment
from tests.support.tracked import START
from tests.unit.collector.test_containers import attributes


class Engine:
    """Stands in for Docker's API client."""

    def __init__(self) -> None:
        self.running: dict[str, dict[str, Any]] = {}
        self.stopped: dict[str, dict[str, Any]] = {}
        self.inspections = 0
        self.broken: Exception | None = None
        self.closed = 0

    def add(self, name: str, **changes: Any) -> None:
        self.running[name] = {**attributes(**changes), "Id": name, "Name": f"/{name}"}

    def containers(self) -> list[dict[str, Any]]:
        if self.broken:
            raise self.broken
        return [{"Id": name} for name in self.running]

    def inspect_container(self, name: str) -> dict[str, Any]:
        self.inspections += 1
        found = self.running.get(name) or self.stopped.get(name)
        if found is None:
            raise NotFound("gone")
        return found

    def networks(self) -> list[dict[str, Any]]:
        return [{"Name": "shop", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}]}}]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def inventory() -> Inventory:
    return Inventory(clock=lambda: START)


@pytest.fixture
def watcher(engine: Engine, inventory: Inventory, tmp_path: Path) -> DockerWatcher:
    (tmp_path / "77/ns").mkdir(parents=True)
    (tmp_path / "77/ns/net").touch()
    (tmp_path / "77/cgroup").write_text("0::/docker/x\n")
    return DockerWatcher(
        "unix:///nowhere", "h1", inventory, clock=lambda: START, proc=tmp_path, connect=lambda url: engine
    )


def test_a_listing_fills_the_inventory(watcher: DockerWatcher, engine: Engine, inventory: Inventory) -> None:
    engine.add("web")
    assert watcher.list_now()
    (web,) = inventory.workloads()
    assert (web.name, web.cgroup, web.netns is not None) == ("web", "docker/x", True)
    assert [str(item) for item in inventory.snapshot().subnets] == ["10.0.0.0/24"]
    assert (watcher.state().connected, watcher.state().error, watcher.state().containers) == (True, "", 1)


def test_what_is_known_is_not_inspected_again(watcher: DockerWatcher, engine: Engine) -> None:
    engine.add("web")
    for _ in range(5):
        watcher.list_now()
    assert engine.inspections == 1
    watcher._take({"Type": "container", "Action": "start", "Actor": {"ID": "web"}, "timeNano": 1})
    watcher.list_now()
    assert engine.inspections == 2


def test_a_removed_container_has_ended(watcher: DockerWatcher, engine: Engine, inventory: Inventory) -> None:
    engine.add("web")
    watcher.list_now()
    engine.running.clear()
    watcher.list_now()
    ended = inventory.get("web")
    assert ended is not None
    assert (ended.running, inventory.workloads()) == (False, ())


def test_a_change_without_an_event_is_found_and_counted(watcher: DockerWatcher, engine: Engine) -> None:
    watcher.list_now()
    engine.add("silent")
    watcher.list_now()
    assert watcher.state().missed == 1
    watcher._take({"Type": "container", "Action": "start", "Actor": {"ID": "told"}, "timeNano": 1})
    engine.add("told")
    watcher.list_now()
    assert watcher.state().missed == 1


def test_exec_events_cost_nothing(watcher: DockerWatcher) -> None:
    watcher._take({"Type": "container", "Action": "exec_start: sh", "Actor": {"ID": "web"}, "timeNano": 1})
    assert watcher.state().events == 0


@pytest.mark.parametrize(
    "error", [requests.exceptions.ConnectionError("refused"), OSError("broken pipe"), KeyError("Id")]
)
def test_an_engine_that_fails_is_a_state_and_the_inventory_stays(
    watcher: DockerWatcher, engine: Engine, inventory: Inventory, error: Exception
) -> None:
    engine.add("web")
    watcher.list_now()
    engine.broken = error
    assert not watcher.list_now()
    assert (watcher.state().connected, bool(watcher.state().error), engine.closed) == (False, True, 1)
    assert len(inventory.workloads()) == 1
    engine.broken = None
    assert watcher.list_now()
    assert watcher.state().error == ""


def test_a_container_that_vanishes_in_between_is_left_out(watcher: DockerWatcher, engine: Engine) -> None:
    engine.add("web")
    engine.containers = lambda: [{"Id": "web"}, {"Id": "ghost"}]  # type: ignore[method-assign]
    assert watcher.list_now()
    assert watcher.state().containers == 1


@pytest.mark.parametrize(
    "broken",
    [{"State": None}, {"State": []}, {"NetworkSettings": None}, {"Config": None}, {"HostConfig": None}],
    ids=str,
)
def test_a_container_that_makes_no_sense_is_left_out_and_said(
    watcher: DockerWatcher, engine: Engine, inventory: Inventory, broken: dict[str, Any]
) -> None:
    engine.add("web")
    engine.add("odd")
    engine.running["odd"].update(broken)
    for _ in range(2):
        assert watcher.list_now()
        assert [item.name for item in inventory.workloads()] == ["web"]
        assert "container odd is left out" in watcher.state().error
        assert watcher.state().missed == 0
    engine.running.pop("odd")
    watcher.list_now()
    assert watcher.state().error == ""


@pytest.mark.parametrize(
    "event",
    [
        [],
        "text",
        {"Type": "container", "Actor": []},
        {"Type": "container", "Actor": {"ID": "web"}, "timeNano": 10**30},
        {"Type": "container", "Actor": {"ID": "web"}, "timeNano": "x"},
        {"Type": "network", "Actor": {"Attributes": ["x"]}},
    ],
    ids=str,
)
def test_an_event_that_makes_no_sense_does_not_spoil_the_next(
    watcher: DockerWatcher, engine: Engine, event: Any
) -> None:
    engine.add("web")
    watcher.list_now()
    watcher._take(event)
    assert watcher._last_event == 0
    watcher._take({"Type": "container", "Action": "start", "Actor": {"ID": "web"}, "timeNano": 5})
    watcher.list_now()
    assert (watcher._last_event, engine.inspections) == (5, 2)


def test_a_missing_socket_is_said_in_words(inventory: Inventory, tmp_path: Path) -> None:
    watcher = DockerWatcher(f"unix://{tmp_path}/docker.sock", "h1", inventory)
    assert not watcher.list_now()
    assert watcher.state().error == f"there is no Docker socket at {tmp_path}/docker.sock"
    assert "does not answer" in explain("tcp://127.0.0.1:1", OSError("refused"))


def test_a_socket_tells_who_listens(tmp_path: Path) -> None:
    import os

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        assert engine_pid(f"unix://{tmp_path}/s") == os.getpid()
    assert engine_pid(f"unix://{tmp_path}/none") is None
    assert engine_pid("tcp://127.0.0.1:1") is None


def test_a_host_is_a_workload() -> None:
    host = host_workload("h1", 5, "/proc/1/ns/net", START)
    assert (host.id, host.kind, host.netns, host.containment) == ("host:h1", "host", 5, Containment.NAMESPACE)
