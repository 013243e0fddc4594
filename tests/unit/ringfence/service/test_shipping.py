"""A batch's way: judged, stored once, turned into findings, acknowledged last."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ringfence.errors import StoreUnavailable
from ringfence.model.event import AuditEvent, EventAction
from ringfence.model.flow import FlowBatch
from ringfence.model.gap import Gap, GapCause
from ringfence.service.feed import Feed
from ringfence.service.policy import PolicyInForce
from ringfence.service.shipping import Shipping
from ringfence.service.violations import Violations
from ringfence.store.flows import FlowQuery
from tests.support.estate import NOW, Estate, flow_row, flow_table

DENY = """
version: 1
default_mode: protect
tiers: [{name: application, default: deny}]
policies:
  - {name: db, tier: application, selector: "role == 'db'", ingress: []}
"""


class MemorySource:
    def __init__(self, *batches: FlowBatch) -> None:
        self.batches = list(batches)

    def peek(self) -> FlowBatch | None:
        return self.batches[0] if self.batches else None

    def ack(self, batch_id: str) -> None:
        assert self.batches.pop(0).id == batch_id


class AbsentStore:
    """A flow store that does not answer."""

    def append(self, batch: FlowBatch) -> bool:
        raise StoreUnavailable("away")

    def open_flows(self, host: str) -> pa.Table:
        raise StoreUnavailable("away")

    def prune(self, before: Any) -> int:
        raise StoreUnavailable("away")

    def close(self) -> None:
        return


class Shipped:
    """One shipping over an estate, with what it told others."""

    def __init__(
        self,
        estate: Estate,
        source: MemorySource,
        *,
        flows: Any = None,
        findings: Any = None,
        counted: Any = (),
        begin: Any = None,
    ) -> None:
        self.events: list[AuditEvent] = []
        self.seen: list[int] = []
        self.feed = Feed()
        self.shipping = Shipping(
            sources=[source],
            policy=PolicyInForce(estate.state.policies),
            flows=flows or estate.flows,
            findings=findings or estate.state.findings,
            violations=Violations(counted),
            respond=lambda table: self.seen.append(table.num_rows),
            account=self.events.append,
            feed=self.feed,
            clock=lambda: NOW,
            begin=begin,
        )


def _batch(batch_id: str = "b1", **changes: Any) -> FlowBatch:
    gap = Gap(id="g1", host="h1", started=NOW, ended=NOW, cause=GapCause.SOCKET_OVERRUN, lost=7)
    return FlowBatch(id=batch_id, host="h1", flows=flow_table(flow_row(1, **changes)), gaps=(gap,))


def _stored(estate: Estate) -> list[dict[str, Any]]:
    window = FlowQuery(start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=1))
    return list(estate.flows.search(window).rows)


def test_a_batch_is_judged_stored_and_acknowledged(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text=DENY, author="ada", reason="", at=NOW)
        source = MemorySource(_batch())
        shipped = Shipped(estate, source)
        assert shipped.shipping.step()
        assert not shipped.shipping.step()
        rows = _stored(estate)
        assert [(row["enforced"], row["staged"], row["revision"]) for row in rows] == [("allowed", "denied", 1)]
        assert [finding.staged for finding in estate.state.findings.list()] == [True]
        assert [(event.action, event.detail["lost"]) for event in shipped.events] == [(EventAction.GAP_RECORDED, 7)]
        assert shipped.seen == [1]


def test_a_batch_sent_twice_is_stored_once_and_followed_once(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        shipped = Shipped(estate, MemorySource(_batch("b0"), _batch(), _batch()))
        while shipped.shipping.step():
            pass
        assert len(_stored(estate)) == 1
        assert shipped.seen == [1, 1]


def test_the_first_batch_after_a_start_is_followed_even_if_it_was_stored_before(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.flows.append(_batch())
        shipped = Shipped(estate, MemorySource(_batch()))
        shipped.shipping.step()
        assert shipped.seen == [1]


def test_nothing_is_acknowledged_while_the_store_is_away_but_automation_acts_once(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        source = MemorySource(_batch())
        shipped = Shipped(estate, source, flows=AbsentStore())
        assert not shipped.shipping.step()
        assert not shipped.shipping.step()
        assert shipped.shipping.store_away
        assert len(source.batches) == 1
        assert shipped.seen == [1]


class FailingOnce:
    """Findings that cannot be recorded the first time."""

    def __init__(self, findings: Any) -> None:
        self._findings, self.failed = findings, False

    def record(self, finding: Any) -> Any:
        if not self.failed:
            self.failed = True
            raise StoreUnavailable("the state store restarts")
        return self._findings.record(finding)


def test_findings_that_could_not_be_kept_are_kept_at_the_next_try(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        source = MemorySource(_batch("0" * 32), _batch(enforced="denied"))
        shipped = Shipped(estate, source, findings=FailingOnce(estate.state.findings))
        while shipped.shipping.step() or source.batches:
            pass
        (finding,) = estate.state.findings.list()
        assert (finding.count, len(_stored(estate))) == (1, 1)


def test_findings_of_a_killed_run_are_found_although_its_flows_are_stored(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        batch = _batch(enforced="denied")
        estate.flows.append(batch)
        shipped = Shipped(estate, MemorySource(batch), counted=batch.flows.column("flow_id").to_pylist())
        shipped.shipping.step()
        assert [finding.count for finding in estate.state.findings.list()] == [1]


def test_nothing_is_shipped_before_the_store_has_told_what_was_counted(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        first, second = _batch("b1", enforced="denied"), _batch("b2", enforced="denied")
        answers: list[list[str] | None] = [None, first.flows.column("flow_id").to_pylist()]

        def begin() -> list[str]:
            answer = answers.pop(0)
            if answer is None:
                raise StoreUnavailable("away")
            return answer

        estate.flows.append(first)
        source = MemorySource(second)
        shipped = Shipped(estate, source, begin=begin)
        assert (shipped.shipping.step(), shipped.shipping.store_away, len(source.batches)) == (False, True, 1)
        assert shipped.shipping.step()
        assert (shipped.shipping.store_away, source.batches, answers) == (False, [], [])
        assert estate.state.findings.list() == (), "the former run has counted it"


def test_a_gap_of_an_old_capture_is_accounted_for_when_it_is_told(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        started, ended = NOW - timedelta(days=2001), NOW - timedelta(days=2000)
        gap = Gap(id="g", host="h1", started=started, ended=ended, cause=GapCause.UNREADABLE, lost=None)
        shipped = Shipped(estate, MemorySource(FlowBatch(id="b", host="h1", flows=flow_table(), gaps=(gap,))))
        shipped.shipping.step()
        (event,) = shipped.events
        assert event.at == NOW
        assert (event.detail["started"], event.detail["ended"]) == (started.isoformat(), ended.isoformat())


class Unheard:
    """A flow store one of whose batches was stored without its writer hearing so."""

    def __init__(self, flows: Any, batch_id: str, *, raises: bool) -> None:
        self._flows, self._batch_id, self._raises = flows, batch_id, raises

    def append(self, batch: FlowBatch) -> bool:
        stored = bool(self._flows.append(batch))
        if not stored or batch.id != self._batch_id:
            return stored
        if self._raises:
            raise StoreUnavailable("the connection was lost")
        return False


@pytest.mark.parametrize("raises", [True, False], ids=["the answer was lost", "the client asked twice"])
@pytest.mark.parametrize("place", [0, 1], ids=["first batch", "later batch"])
def test_a_batch_that_was_stored_without_an_answer_leaves_its_finding_once(
    tmp_path: Path, place: int, raises: bool
) -> None:
    with Estate(tmp_path) as estate:
        other = FlowBatch(id="other", host="h1", flows=flow_table(flow_row(2)))
        batches = [other, other]
        batches[place] = _batch(enforced="denied")
        source = MemorySource(*batches)
        shipped = Shipped(estate, source, flows=Unheard(estate.flows, "b1", raises=raises))
        while shipped.shipping.step() or source.batches:
            pass
        assert [finding.count for finding in estate.state.findings.list()] == [1]
        assert [event.detail["gap"] for event in shipped.events] == ["g1"]
        assert len(_stored(estate)) == 2


def test_an_open_flow_that_was_counted_is_not_counted_again_when_an_answer_is_lost(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        source = MemorySource(_batch(enforced="denied"), _batch("b2", enforced="denied"))
        shipped = Shipped(estate, source, flows=Unheard(estate.flows, "b2", raises=True))
        while shipped.shipping.step() or source.batches:
            pass
        assert [finding.count for finding in estate.state.findings.list()] == [1]


def _outage(number: int, gap_id: str = "h1:namespace not observed:7:2026") -> FlowBatch:
    """The batch that tells the outage for the `number`th time; it grows by ten seconds each."""
    ended = NOW + timedelta(seconds=10 * number)
    gap = Gap(id=gap_id, host="h1", started=NOW, ended=ended, cause=GapCause.NAMESPACE, detail="gone")
    return FlowBatch(id=f"b{number}", host="h1", flows=flow_table(), gaps=(gap,))


def test_an_outage_that_lasts_is_accounted_for_and_shown_once_while_the_store_has_all_of_it(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        shipped = Shipped(estate, MemorySource(*(_outage(number) for number in range(20)), _outage(20, "another")))
        while shipped.shipping.step():
            pass
        assert [event.detail["gap"] for event in shipped.events] == [_outage(0).gaps[0].id, "another"]
        assert [message.body["id"] for message in shipped.feed.after(0, 0)] == [_outage(0).gaps[0].id, "another"]
        (gap, _) = sorted(estate.flows.gaps(NOW, NOW + timedelta(hours=1)), key=lambda gap: gap.ended)
        assert gap.ended - gap.started == timedelta(seconds=190)


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
def test_new_flows_are_told_live_only_when_somebody_watches(tmp_path: Path, watched: bool) -> None:
    with Estate(tmp_path) as estate:
        shipped = Shipped(estate, MemorySource(_batch()))
        if watched:
            with shipped.feed.watching():
                shipped.shipping.step()
        else:
            shipped.shipping.step()
        told = [message.body for message in shipped.feed.after(0, 0) if message.topic == "flows"]
        assert told == ([{"flows": 1}] if watched else []), "how many, not which: nothing large is kept"
