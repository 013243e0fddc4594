"""Quarantine orders: carried out once, released on wish or expiry, failures told and never hidden."""

import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringfence.errors import EnforcementFailed, StoreUnavailable
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.quarantine import Check, Proof, Quarantine, QuarantineState
from ringfence.model.workload import Workload, WorkloadKind
from ringfence.service.containment import Containment
from tests.support.wait import wait_until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKLOAD = Workload(id="w1", name="coupon", kind=WorkloadKind.CONTAINER, host="h1", started=NOW)


class MemoryQuarantines:
    def __init__(self, *items: Quarantine) -> None:
        self.items = {item.id: item for item in items}

    def add(self, quarantine: Quarantine) -> None:
        self.items[quarantine.id] = quarantine

    def wish_release(self, quarantine_id: str, *, at: datetime, by: str) -> bool:
        item = self.items[quarantine_id]
        if not item.active or item.released is not None:
            return False
        self.items[quarantine_id] = replace(item, released=at, released_by=by)
        return True

    def settle(self, quarantine: Quarantine) -> bool:
        item = self.items[quarantine.id]
        if not item.active or (item.released is not None and quarantine.active):
            return False
        self.items[quarantine.id] = replace(
            item, state=quarantine.state, proof=quarantine.proof, connections_cut=quarantine.connections_cut
        )
        return True

    def get(self, quarantine_id: str) -> Quarantine | None:
        return self.items.get(quarantine_id)

    def active(self) -> tuple[Quarantine, ...]:
        return tuple(item for item in self.items.values() if item.active)

    def list(self, *, limit: int = 200, after: tuple[datetime, str] | None = None) -> tuple[Quarantine, ...]:
        return tuple(self.items.values())[:limit]


class RecordingIsolator:
    def __init__(self, failure: str = "") -> None:
        self.calls: list[str] = []
        self.failure = failure

    def order(self, workload: Workload, quarantine: Quarantine) -> Quarantine:
        self.calls.append(f"order {workload.id}")
        if self.failure:
            raise EnforcementFailed(self.failure)
        proof = Proof(at=NOW, checks=(Check(name="rules read back", passed=True, detail="both families"),))
        return replace(quarantine, state=QuarantineState.VERIFIED, proof=proof)

    def release(self, quarantine: Quarantine, workload: Workload | None) -> Quarantine:
        self.calls.append(f"release {quarantine.workload}" + ("" if workload is not None else " that is gone"))
        if self.failure:
            raise EnforcementFailed(self.failure)
        return replace(quarantine, state=QuarantineState.RELEASED)


def _order(**changes: object) -> Quarantine:
    order = Quarantine(
        id="q1",
        workload="w1",
        workload_name="coupon",
        host="h1",
        state=QuarantineState.APPLYING,
        reason="scan",
        author="ada",
        created=NOW,
        expires=NOW + timedelta(hours=1),
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def _containment(
    store: MemoryQuarantines,
    isolator: RecordingIsolator,
    events: list[AuditEvent],
    *,
    workloads: Sequence[Workload] = (WORKLOAD,),
    complete: Collection[str] = ("h1",),
    clock: Callable[[], datetime] = lambda: NOW,
) -> Containment:
    return Containment(
        quarantines=store,
        isolator=isolator,
        hosts=lambda: {"h1"},
        complete=lambda: complete,
        find=lambda wanted: next((item for item in workloads if item.id == wanted), None),
        account=events.append,
        changed=lambda _: None,
        clock=clock,
    )


def _step(containment: Containment) -> None:
    """One step, and everything that it began."""
    containment.step()
    wait_until("all orders are carried out", lambda: not containment.in_hand)


def _run(
    order: Quarantine, isolator: RecordingIsolator, *, workloads: Sequence[Workload] = (WORKLOAD,), steps: int = 2
) -> tuple[Quarantine, list[AuditEvent]]:
    store, events = MemoryQuarantines(order), list[AuditEvent]()
    containment = _containment(store, isolator, events, workloads=workloads)
    for _ in range(steps):
        _step(containment)
    return store.items["q1"], events


def test_an_order_is_carried_out_once_and_its_proof_recorded() -> None:
    isolator = RecordingIsolator()
    done, events = _run(_order(), isolator, steps=3)
    assert isolator.calls == ["order w1"]
    assert done.state is QuarantineState.VERIFIED
    assert [event.action for event in events] == [EventAction.QUARANTINE_STATE]
    assert events[0].detail["checks"][0]["name"] == "rules read back"


def test_a_refusal_of_the_kernel_is_the_state_failed_with_its_words() -> None:
    done, events = _run(_order(), RecordingIsolator("set is full"), steps=1)
    assert done.state is QuarantineState.FAILED
    assert (events[0].outcome, events[0].detail["problem"]) == ("failure", "set is full")


@pytest.mark.parametrize(
    ("change", "by"),
    [
        pytest.param({"released": NOW, "released_by": "ada"}, "ada", id="on a wish"),
        pytest.param({"expires": NOW}, "expiry", id="when it expires"),
    ],
)
def test_a_quarantine_ends(change: dict[str, object], by: str) -> None:
    isolator = RecordingIsolator()
    done, events = _run(_order(state=QuarantineState.VERIFIED, **change), isolator)
    assert isolator.calls == ["release w1"]
    assert (done.state, done.released_by) == (QuarantineState.RELEASED, by)
    assert (events[0].action, events[0].actor) == (EventAction.QUARANTINE_RELEASED, by)


def test_an_order_for_another_host_is_left_to_that_host() -> None:
    isolator = RecordingIsolator()
    done, events = _run(_order(host="h2"), isolator)
    assert (isolator.calls, done.state, events) == ([], QuarantineState.APPLYING, [])


def test_a_release_of_a_workload_that_is_gone_still_ends() -> None:
    isolator = RecordingIsolator()
    done, _ = _run(_order(released=NOW, released_by="ada"), isolator, workloads=())
    assert done.state is QuarantineState.RELEASED
    assert isolator.calls == ["release w1 that is gone"], "the enforcer must forget it before the workload comes back"


def test_a_release_wished_while_the_order_is_carried_out_is_not_lost() -> None:
    store, events = MemoryQuarantines(_order()), list[AuditEvent]()

    class Slow(RecordingIsolator):
        def order(self, workload: Workload, quarantine: Quarantine) -> Quarantine:
            done = super().order(workload, quarantine)
            store.wish_release("q1", at=NOW, by="ada")
            return done

    isolator = Slow()
    containment = _containment(store, isolator, events)
    woken: list[str] = []
    containment.wake = lambda: woken.append("there is more to do at once")
    _step(containment)
    assert woken
    del woken[:]
    _step(containment)
    assert not woken
    assert isolator.calls == ["order w1", "release w1"]
    assert (store.items["q1"].state, store.items["q1"].released_by) == (QuarantineState.RELEASED, "ada")


def test_a_release_that_keeps_failing_is_told_once_tried_ever_later_and_stays_in_sight() -> None:
    seconds = 0
    store, events = MemoryQuarantines(_order(state=QuarantineState.VERIFIED, released=NOW)), list[AuditEvent]()
    isolator = RecordingIsolator("resource busy")
    containment = _containment(store, isolator, events, clock=lambda: NOW + timedelta(seconds=seconds))
    for _ in range(60):
        _step(containment)
        seconds += 1
    assert len(isolator.calls) == 6
    assert [(event.outcome, event.detail["problem"]) for event in events] == [
        ("failure", "the release failed: resource busy")
    ]
    assert (store.items["q1"].state, store.items["q1"].released) == (QuarantineState.VERIFIED, NOW)
    isolator.failure = ""
    seconds += 60
    _step(containment)
    assert store.items["q1"].state is QuarantineState.RELEASED


def test_whatever_one_order_meets_the_others_are_carried_out() -> None:
    store = MemoryQuarantines(_order(), _order(id="q2", workload="w2"))
    events: list[AuditEvent] = []

    class Exhausted(RecordingIsolator):
        def order(self, workload: Workload, quarantine: Quarantine) -> Quarantine:
            if quarantine.id == "q1":
                raise OSError(24, "Too many open files")
            return super().order(workload, quarantine)

    workloads = (WORKLOAD, replace(WORKLOAD, id="w2"))
    _step(_containment(store, Exhausted(), events, workloads=workloads))
    assert store.items["q1"].state is QuarantineState.FAILED
    assert store.items["q2"].state is QuarantineState.VERIFIED
    (failed,) = [event for event in events if event.outcome == "failure"]
    assert failed.detail["problem"] == "OSError: [Errno 24] Too many open files"


def test_an_order_that_hangs_holds_up_neither_others_nor_later_ones_and_is_not_begun_twice() -> None:
    store = MemoryQuarantines(_order(), _order(id="q2", workload="w2"))
    go_on = threading.Event()

    class Hanging(RecordingIsolator):
        def order(self, workload: Workload, quarantine: Quarantine) -> Quarantine:
            done = super().order(workload, quarantine)
            if quarantine.id == "q1":
                assert go_on.wait(10), "it hangs for good"
            return done

    isolator = Hanging()
    workloads = (WORKLOAD, replace(WORKLOAD, id="w2"), replace(WORKLOAD, id="w3"))
    containment = _containment(store, isolator, [], workloads=workloads)
    containment.step()
    store.add(_order(id="q3", workload="w3"))
    containment.step()
    wait_until("the others are done", lambda: containment.in_hand == {"q1"})
    assert [store.items[name].state.value for name in ("q1", "q2", "q3")] == ["applying", "verified", "verified"]
    go_on.set()
    containment.stop()
    assert store.items["q1"].state is QuarantineState.VERIFIED, "a stop waits for what is being carried out"
    assert sorted(isolator.calls) == ["order w1", "order w2", "order w3"]


def test_a_release_waits_until_it_is_known_whether_its_workload_runs() -> None:
    store, isolator = MemoryQuarantines(_order(state=QuarantineState.VERIFIED, released=NOW)), RecordingIsolator()
    _step(_containment(store, isolator, [], workloads=(), complete=()))
    assert (isolator.calls, store.items["q1"].state) == ([], QuarantineState.VERIFIED)
    _step(_containment(store, isolator, [], complete=()))
    assert isolator.calls == ["release w1"], "a workload that was found needs no complete list"


def test_how_an_order_went_that_could_not_be_written_down_is_found_out_again() -> None:
    class Away(MemoryQuarantines):
        failures = 1

        def settle(self, quarantine: Quarantine) -> bool:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailable("away")
            return super().settle(quarantine)

    store, isolator = Away(_order()), RecordingIsolator()
    containment = _containment(store, isolator, [])
    _step(containment)
    assert store.items["q1"].state is QuarantineState.APPLYING
    _step(containment)
    assert store.items["q1"].state is QuarantineState.VERIFIED


def test_what_is_proven_in_the_background_is_accounted_for_when_the_state_is_news() -> None:
    store, events = MemoryQuarantines(_order(state=QuarantineState.FAILED)), list[AuditEvent]()
    containment = _containment(store, RecordingIsolator(), events)
    for state in (QuarantineState.VERIFIED, QuarantineState.VERIFIED, QuarantineState.PARTIAL):
        containment.take(_order(state=state))
    assert [(event.action, event.detail["state"]) for event in events] == [
        (EventAction.QUARANTINE_STATE, "verified"),
        (EventAction.QUARANTINE_STATE, "partial"),
    ]
    assert store.items["q1"].state is QuarantineState.PARTIAL


def test_a_proof_that_comes_after_the_wish_to_end_it_changes_nothing_and_hurries_the_end() -> None:
    store, events = MemoryQuarantines(_order(state=QuarantineState.FAILED, released=NOW)), list[AuditEvent]()
    containment = _containment(store, RecordingIsolator(), events)
    woken: list[str] = []
    containment.wake = lambda: woken.append("now")
    containment.take(_order(state=QuarantineState.VERIFIED))
    assert (store.items["q1"].state, events, woken) == (QuarantineState.FAILED, [], ["now"])
