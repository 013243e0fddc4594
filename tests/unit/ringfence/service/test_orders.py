"""Orders of people: refused with a reason or recorded, written down, and handed on."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from ringfence.errors import (
    AuditUnavailable,
    Conflict,
    NotFound,
    NotPermitted,
    PolicyInvalid,
    RingfenceError,
    StoreUnavailable,
)
from ringfence.model.flow import FlowBatch
from ringfence.model.policy import Service
from ringfence.model.quarantine import ControlledAccess, Quarantine, QuarantineState
from ringfence.model.ruleset import FIRST_POLICY_RULE
from ringfence.model.verdict import Direction
from ringfence.model.workload import WorkloadKind
from ringfence.service.orders import Orders
from ringfence.store.database.connection import connect
from ringfence.store.database.rule_numbers import RuleNumberTable
from tests.support.estate import API, NOW, Estate, flow_row, flow_table
from web.actions import Actor

ADA = Actor(name="ada", origin="192.0.2.1")
GOOD = "version: 1\n"
BAD = "version: 1\ntiers: [{name: a}]\npolicies: [{name: p, tier: b, selector: 'x ==', ingress: []}]\n"
SOON = NOW + timedelta(hours=1)


def _orders(estate: Estate, calls: list[str] | None = None) -> Orders:
    log = calls if calls is not None else []
    estate.state.workloads.save([API])
    return Orders(
        state=estate.state,
        flows=estate.flows,
        audit=estate.audit,
        policy_changed=lambda: log.append("policy"),
        quarantine_changed=lambda: log.append("quarantine"),
        run_report=lambda report_id: log.append("report"),
        clock=lambda: NOW,
    )


def test_a_policy_is_recorded_applied_and_handed_on(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        revision = _orders(estate, calls).apply_policy(text=GOOD, reason="first", actor=ADA, expected=0)
        assert (revision.revision, estate.state.policies.current().text, calls) == (1, GOOD, ["policy"])
        assert estate.actions() == ["ada: policy applied policy"]


def test_an_invalid_policy_changes_nothing_and_the_refusal_is_recorded(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        with pytest.raises(PolicyInvalid) as caught:
            _orders(estate).apply_policy(text=BAD, reason="", actor=ADA, expected=None)
        assert len(caught.value.problems) >= 2
        assert estate.state.policies.current().revision == 0
        assert estate.actions() == ["ada: policy refused policy"]


def test_a_policy_for_which_there_are_no_numbers_left_is_refused_before_anything_changes(tmp_path: Path) -> None:
    text = "version: 1\ntiers: [{name: a}]\npolicies: [{name: p, tier: a, selector: all(), ingress: []}]\n"
    with Estate(tmp_path) as estate:
        estate.state.rule_numbers = RuleNumberTable(connect(tmp_path / "state.db"), last=FIRST_POLICY_RULE)
        with pytest.raises(RingfenceError, match="needs 2 new rule numbers, and 1 of 1 are free"):
            _orders(estate).apply_policy(text=text, reason="", actor=ADA, expected=None)
        assert estate.state.policies.current().revision == 0
        assert estate.actions() == ["ada: policy refused policy"]


def test_a_policy_with_too_many_rules_for_one_workload_is_refused(tmp_path: Path) -> None:
    text = (
        "version: 1\ndefault_mode: protect\ntiers: [{name: t0, default: pass}, {name: t1, default: pass}]\npolicies:\n"
    )
    for tier in (0, 1):
        passes = ", ".join(f"{{action: pass, from: {{networks: [10.{tier}.{n}.0/24]}}}}" for n in range(250))
        text += f"  - {{name: p{tier}, tier: t{tier}, selector: all(), ingress: [{passes}]}}\n"
    with Estate(tmp_path) as estate:
        with pytest.raises(RingfenceError, match="more than 50000 rules for one workload"):
            _orders(estate).apply_policy(text=text, reason="", actor=ADA, expected=None)
        assert estate.actions() == ["ada: policy refused policy"]


def test_a_change_on_a_stale_revision_is_refused(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        orders = _orders(estate)
        orders.apply_policy(text=GOOD, reason="", actor=ADA, expected=0)
        with pytest.raises(Conflict, match="revision 1 is in force"):
            orders.apply_policy(text=GOOD, reason="", actor=ADA, expected=0)


def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        orders = _orders(estate)
        estate.audit.close()
        with pytest.raises(AuditUnavailable):
            orders.quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON)
        assert estate.state.quarantines.active() == ()


def test_a_quarantine_is_an_order_in_the_store(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        order = _orders(estate, calls).quarantine(workload=API.id, reason=" scan ", actor=ADA, expires=SOON)
        assert (order.state, order.reason, order.host) == (QuarantineState.APPLYING, "scan", "h1")
        assert estate.state.quarantines.active() == (order,)
        assert calls == ["quarantine"]
        assert estate.actions() == ["ada: quarantine ordered api"]


class Refusing:
    """Quarantines that are listed and cannot be added."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def active(self) -> tuple[Quarantine, ...]:
        return ()

    def add(self, quarantine: Quarantine) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (Conflict("api is in quarantine already"), "api is in quarantine already"),
        (StoreUnavailable("the state store does not answer"), "the state store does not answer"),
        (ValueError("a secret of the driver"), "an internal error; see the log"),
        (SystemExit(1), "an internal error; see the log"),
    ],
    ids=["ordered by another", "store away", "unforeseen", "ended"],
)
def test_an_order_that_could_not_be_written_down_is_recorded_as_failed(
    tmp_path: Path, error: BaseException, problem: str
) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        orders = _orders(estate, calls)
        estate.state.quarantines = Refusing(error)  # type: ignore[assignment]
        with pytest.raises(type(error)):
            orders.quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON)
        ordered, failed = (record.event for record in estate.audit.records())
        assert (ordered.action, ordered.outcome) == (failed.action, "success")
        assert (failed.outcome, failed.detail["problems"]) == ("failure", [problem])
        assert failed.detail["quarantine"] == ordered.detail["quarantine"]
        assert calls == []


class Unwilling:
    """A part of the state store that fails in one method."""

    def __init__(self, part: Any, name: str) -> None:
        self._part, self._name = part, name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            raise ValueError(f"no {name}")
        return getattr(self._part, name)


@pytest.mark.parametrize(
    ("part", "method", "recorded"),
    [
        ("policies", "apply", ["policy applied success", "policy refused failure"]),
        ("quarantines", "wish_release", ["quarantine released success", "quarantine released failure"]),
        ("reports", "save", ["report created success", "report created failure"]),
    ],
)
def test_whatever_keeps_an_order_from_being_done_is_recorded(
    tmp_path: Path, part: str, method: str, recorded: list[str]
) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        orders = _orders(estate, calls)
        order = orders.quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON)
        setattr(estate.state, part, Unwilling(getattr(estate.state, part), method))
        calls.clear()
        with pytest.raises(ValueError, match=f"no {method}"):
            match part:
                case "policies":
                    orders.apply_policy(text=GOOD, reason="", actor=ADA, expected=0)
                case "quarantines":
                    orders.release(quarantine=order.id, reason="done", actor=ADA)
                case _:
                    orders.make_report(kind="flow", parameters={}, actor=ADA)
        events = [record.event for record in estate.audit.records()][1:]
        assert [f"{event.action} {event.outcome}" for event in events] == recorded
        assert events[1].detail["problems"] == ["an internal error; see the log"]
        assert calls == []


def test_a_workload_in_quarantine_is_not_isolated_twice(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        orders = _orders(estate)
        orders.quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON)
        with pytest.raises(NotPermitted, match="in quarantine already"):
            orders.quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON)


@pytest.mark.parametrize(
    ("workload", "reason", "hours", "error"),
    [
        pytest.param("nobody", "scan", 1, NotFound, id="unknown workload"),
        pytest.param(API.id, "  ", 1, RingfenceError, id="no reason"),
        pytest.param(API.id, "scan", -1, RingfenceError, id="expiry in the past"),
        pytest.param(API.id, "scan", 24 * 31, RingfenceError, id="expiry too far"),
    ],
)
def test_impossible_quarantines_are_refused(
    tmp_path: Path, workload: str, reason: str, hours: int, error: type[RingfenceError]
) -> None:
    with Estate(tmp_path) as estate:
        with pytest.raises(error):
            _orders(estate).quarantine(
                workload=workload, reason=reason, actor=ADA, expires=NOW + timedelta(hours=hours)
            )
        assert estate.state.quarantines.active() == ()


def test_a_plan_names_the_connections_that_would_be_cut(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        live = [flow_row(1), flow_row(2), flow_row(3, enforced="denied"), flow_row(4, ended=NOW, end_reason="closed")]
        estate.flows.append(FlowBatch(id="b", host="h1", flows=flow_table(*live)))
        plan = _orders(estate).plan_quarantine(API.id)
        assert (plan.open_connections, plan.peers, plan.refusal) == (2, ("db",), "")


def test_a_release_is_a_wish_that_the_host_fulfils(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        orders = _orders(estate)
        order = orders.quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON)
        orders.release(quarantine=order.id, reason="cleared", actor=ADA)
        wish = estate.state.quarantines.get(order.id)
        assert wish is not None
        assert (wish.released, wish.released_by, wish.active) == (NOW, "ada", True)


def test_a_report_is_ordered_and_its_job_sent(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        record = _orders(estate, calls).make_report(kind="flows", parameters={"hours": 1}, actor=ADA)
        stored = estate.state.reports.get(record.id)
        assert stored is not None
        assert (stored.state, calls) == ("running", ["report"])


def test_exceptions_that_would_leave_nothing_isolated_are_refused(tmp_path: Path) -> None:
    halves = tuple(
        ControlledAccess(direction=Direction.EGRESS, network=ip_network(half), service=Service())
        for half in ("0.0.0.0/1", "128.0.0.0/1")
    )
    with Estate(tmp_path) as estate:
        with pytest.raises(NotPermitted, match="too much of IPv4 egress"):
            _orders(estate).quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON, access=halves)
        one = ControlledAccess(direction=Direction.EGRESS, network=ip_network("192.0.2.7/32"), service=Service())
        _orders(estate).quarantine(workload=API.id, reason="scan", actor=ADA, expires=SOON, access=(one,))
        (record,) = estate.audit.records()
        assert "192.0.2.7/32" in str(record.event.detail["access"])


def test_a_plan_counts_every_open_connection_however_many_have_ended_since(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        old = flow_row(1, started=NOW - timedelta(minutes=5))
        ended = [flow_row(number, ended=NOW, end_reason="closed") for number in range(2, 400)]
        estate.flows.append(FlowBatch(id="b", host="h1", flows=flow_table(old, *ended)))
        assert _orders(estate).plan_quarantine(API.id).open_connections == 1


def test_a_network_outside_is_not_isolated(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        orders = _orders(estate)
        estate.state.workloads.save([replace(API, id="office", name="office", kind=WorkloadKind.EXTERNAL)])
        with pytest.raises(NotPermitted, match="office is a network outside"):
            orders.quarantine(workload="office", reason="scan", actor=ADA, expires=SOON)
