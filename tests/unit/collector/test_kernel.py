"""What was read waits in order until the tick takes it; namespaces are watched, and let go when they are not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from collector.columns import CONNTRACK, DENIED
from collector.kernel import LINGER_SECONDS, MOST_WAITING, Intake, Kernel
from ringfence.errors import NotFound
from ringfence.model.ruleset import PROBE_MARK
from tests.support.fake_system import SILENT, FakeSystem
from tests.support.tracked import API, WEB, leg, refused
from tests.support.wait import wait_until


def test_an_empty_intake_is_two_empty_tables() -> None:
    conntrack, denied = Intake().merged()
    assert (conntrack.dtype, len(conntrack), denied.dtype, len(denied)) == (CONNTRACK, 0, DENIED, 0)


def test_records_keep_their_order() -> None:
    intake = Intake()
    for number in range(5):
        intake.conntrack.append(
            np.concatenate([leg(WEB, "10.0.0.1:1>10.0.0.2:2", id_=2 * number + part) for part in (0, 1)])
        )
    intake.denied.append(refused(API, "10.0.0.1:1>10.0.0.2:2", rule_number=20, ingress=True))
    conntrack, denied = intake.merged()
    assert conntrack["id"].tolist() == list(range(10))
    assert denied["rule"].tolist() == [20]


def test_the_enforcers_own_probes_are_left_out() -> None:
    intake = Intake()
    attempt = refused(API, "10.0.0.1:1>10.0.0.2:2", rule_number=20, ingress=True)
    probe = attempt.copy()
    probe["mark"] = PROBE_MARK
    intake.denied += [attempt, probe]
    assert intake.merged()[1]["mark"].tolist() == [0]


@pytest.fixture
def world() -> FakeSystem:
    return FakeSystem(web=WEB, api=API)


@pytest.fixture
def kernel(world: FakeSystem) -> Iterator[Kernel]:
    made = Kernel(receive_buffer=1, on_addresses=lambda inode, addresses: None, system=world.system())
    yield made
    made.close()


def test_a_watched_namespace_is_read_and_let_go_a_while_after_its_end(world: FakeSystem, kernel: Kernel) -> None:
    world.tables[WEB] = [leg(WEB, "10.0.0.1:1>10.0.0.2:2")]
    assert kernel.sync({WEB: "/web"}) == ()
    assert (kernel.watched, world.denied.watched, len(kernel.take().conntrack)) == ((WEB,), {WEB}, 1)
    kernel.sync({})
    kernel.settle()
    assert (kernel.watched, world.restored) == ((WEB,), {})
    world.now += LINGER_SECONDS
    kernel.settle()
    intake = kernel.take()
    assert (kernel.watched, world.denied.watched, world.namespaces.pinned) == ((), set(), set())
    assert (intake.gone, len(intake.conntrack), world.readers[WEB].closed) == ([WEB], 1, True)
    assert world.restored == {WEB: f"/pinned/{WEB}"}, "its own settings, while it is still pinned"


def test_a_namespace_that_comes_back_in_time_stays(world: FakeSystem, kernel: Kernel) -> None:
    kernel.sync({WEB: "/web"})
    kernel.sync({})
    kernel.sync({WEB: "/web"})
    world.now += 2 * LINGER_SECONDS
    kernel.settle()
    assert (kernel.watched, kernel.take().gone) == ((WEB,), [])


@pytest.mark.parametrize("step", ["replaced", "prepare", "reader"])
def test_a_namespace_that_cannot_be_watched_is_let_go_again(world: FakeSystem, kernel: Kernel, step: str) -> None:
    if step == "replaced":
        world.namespaces.paths["/web"] = 4711
    elif step == "prepare":
        world.readiness[WEB] = NotFound("gone")
    else:
        world.unopenable[WEB] = OSError("no socket")
    assert kernel.sync({WEB: "/web"}) == (WEB,)
    assert kernel.sync({WEB: "/web"}) == ()
    assert (world.namespaces.pinned, world.denied.watched, set(kernel.failures)) == (set(), set(), {WEB})
    world.namespaces.paths["/web"] = WEB
    world.readiness.clear()
    world.unopenable.clear()
    kernel.sync({WEB: "/web"})
    assert (kernel.watched, kernel.failures) == ((WEB,), {})


def test_a_path_that_leads_to_another_watched_namespace_does_not_end_that_one(
    world: FakeSystem, kernel: Kernel
) -> None:
    kernel.sync({API: "/api"})
    world.namespaces.paths["/web"] = API
    kernel.sync({API: "/api", WEB: "/web"})
    assert (kernel.watched, world.namespaces.pinned, set(kernel.failures)) == ((API,), {API}, {WEB})


def test_the_failure_of_a_namespace_that_is_not_wanted_any_more_is_forgotten(kernel: Kernel) -> None:
    kernel.sync({5: "/nowhere"})
    assert "gone" in kernel.failures[5]
    kernel.sync({})
    assert kernel.failures == {}


def test_a_namespace_whose_settings_cannot_be_made_is_watched_and_said_so(world: FakeSystem, kernel: Kernel) -> None:
    world.readiness[WEB] = SILENT
    kernel.sync({WEB: "/web", API: "/api"})
    assert (set(kernel.watched), kernel.impaired) == ({WEB, API}, {WEB: SILENT})
    world.readiness.clear()
    kernel.dump()
    assert kernel.impaired == {}


def test_a_table_that_cannot_be_read_is_not_taken_for_an_empty_one(world: FakeSystem, kernel: Kernel) -> None:
    kernel.sync({WEB: "/web", API: "/api"})
    kernel.take()
    world.unreadable.add(WEB)
    kernel.dump()
    assert [inode for inode, _ in kernel.take().dumped] == [API]


def test_with_too_much_waiting_the_sockets_are_left_alone(world: FakeSystem, kernel: Kernel) -> None:
    world.listener.waiting.append(np.zeros(MOST_WAITING + 1, leg(WEB, "10.0.0.1:1>10.0.0.2:2").dtype))
    kernel.start()
    wait_until("it was read", lambda: kernel.events > MOST_WAITING)
    reads = world.listener.reads
    world.listener.waiting.append(leg(WEB, "10.0.0.1:1>10.0.0.2:2"))
    time.sleep(0.2)
    assert world.listener.reads - reads <= 1
    kernel.take()
    wait_until("the rest is read", lambda: kernel.events == MOST_WAITING + 2)
