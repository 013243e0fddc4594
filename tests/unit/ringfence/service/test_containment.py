"""Quarantine orders: carried out once, released on wish or expiry, failures told and never hidden."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringfence.errors import EnforcementFailed
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.quarantine import Check, Proof, Quarantine, QuarantineState
from ringfence.model.workload import Workload, WorkloadKind
from ringfence.service.containment import Containment

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKLOAD = Workload(id="w1", name="coupon", kind=WorkloadKind.CONTAINER, host="h1", started=NOW)


class MemoryQuarantines:
    def __init__(self, *items: Quarantine) -> None:
        self.items = {item.id: item for item in items}

    def save(self, quarantine: Quarantine) -> None:
        self.items[quarantine.id] = quarantine

    def get(self, quarantine_id: str) -> Quarantine | None:
        return self.items.get(quarantine_id)

    def active(self) -> tuple[Quarantine, ...]:
        return tuple(item for item in self.items.values() if item.active)

    def list(self, *, limit: int = 200) -> tuple[Quarantine, ...]:
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

    def release(self, workload: Workload, quarantine: Quarantine) -> Quarantine:
        self.calls.append(f"release {workload.id}")
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


def _run(
    order: Quarantine, isolator: RecordingIsolator, *, workloads: Sequence[Workload] = (WORKLOAD,), steps: int = 2
) -> tuple[Quarantine, list[AuditEvent]]:
    store, events = MemoryQuarantines(order), list[AuditEvent]()
    containment = Containment(
        quarantines=store,
        isolator=isolator,
        hosts=lambda: {"h1"},
        find=lambda wanted: next((item for item in workloads if item.id == wanted), None),
        account=events.append,
        changed=lambda _: None,
        clock=lambda: NOW,
    )
    for _ in range(steps):
        containment.step()
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
    done, _ = _run(_order(released=NOW, released_by="ada"), RecordingIsolator(), workloads=())
    assert done.state is QuarantineState.RELEASED
