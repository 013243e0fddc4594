"""Automation: enough denied attempts become an order, and what is withheld is recorded too."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringfence.errors import StoreUnavailable
from ringfence.model.finding import FindingKind
from ringfence.model.policy import Selector
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.service.policy import PolicyInForce
from ringfence.service.responding import Responding
from tests.support.estate import API, NOW, Estate, flow_row, flow_table

POLICY = """
version: 1
default_mode: protect
responses:
  - {name: contain, destination: "role == 'db'", count: 3, within: 10s, expires: 2h, max_per_hour: 1}
"""
DENIED = flow_table(*(flow_row(number, enforced="denied", dst_port=number) for number in range(1, 5)))


def _responding(
    estate: Estate,
    calls: list[str],
    protected: Selector | None = None,
    *,
    quarantines: Any = None,
    findings: Any = None,
    policy: str = POLICY,
) -> Responding:
    estate.state.policies.apply(text=policy, author="ada", reason="", at=NOW)
    return Responding(
        policy=PolicyInForce(estate.state.policies),
        quarantines=quarantines or estate.state.quarantines,
        findings=findings or estate.state.findings,
        find=lambda workload: API if workload == API.id else None,
        known=estate.state.workloads.get,
        account=estate.audit.append,
        wake=lambda: calls.append("woken"),
        clock=lambda: NOW + timedelta(seconds=1),
        protected=protected,
    )


def test_enough_denied_attempts_become_a_quarantine_order(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        responding = _responding(estate, calls)
        responding.observe(DENIED)
        responding.observe(DENIED)
        (order,) = estate.state.quarantines.active()
        assert (order.workload, order.author) == (API.id, "automation:contain")
        assert order.expires - order.created == timedelta(hours=2)
        assert calls == ["woken"]
        assert estate.actions() == ["automation:contain: response triggered api"]


def test_a_protected_workload_is_left_alone_and_that_is_recorded(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        responding = _responding(estate, [], protected=Selector(text="role == 'api'"))
        responding.observe(DENIED)
        assert estate.state.quarantines.active() == ()
        assert estate.actions() == ["automation:contain: response withheld api"]
        (record,) = estate.audit.records()
        assert record.event.detail["withheld"] == "the workload is protected"


def test_the_cap_outlives_a_restart(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        _responding(estate, []).observe(DENIED)
        (order,) = estate.state.quarantines.active()
        estate.state.quarantines.settle(replace(order, state=QuarantineState.RELEASED))
        again = Responding(
            policy=PolicyInForce(estate.state.policies),
            quarantines=estate.state.quarantines,
            findings=estate.state.findings,
            find=lambda workload: API,
            known=estate.state.workloads.get,
            account=estate.audit.append,
            wake=lambda: None,
            clock=lambda: NOW + timedelta(seconds=2),
        )
        again.observe(DENIED)
        assert estate.state.quarantines.active() == ()
        assert estate.actions()[-1] == "automation:contain: response withheld api"


class Failing:
    """A part of the state store whose next writes fail."""

    def __init__(self, part: Any, name: str, times: int) -> None:
        self._part, self._name, self._times = part, name, times

    def __getattr__(self, name: str) -> Any:
        if name == self._name and self._times > 0:
            self._times -= 1
            raise StoreUnavailable("away")
        return getattr(self._part, name)


def test_an_order_that_could_not_be_written_is_written_when_the_batch_comes_again(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        responding = _responding(estate, [], quarantines=Failing(estate.state.quarantines, "add", 2))
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                responding.observe(DENIED)
        assert estate.actions() == [], "what was not done is not accounted for"
        responding.observe(DENIED)
        responding.observe(DENIED)
        assert [item.workload for item in estate.state.quarantines.active()] == [API.id]
        assert estate.actions() == ["automation:contain: response triggered api"]


class Unconfirmed:
    """Quarantines whose first order is kept, and nobody hears of it."""

    def __init__(self, part: Any) -> None:
        self._part, self._heard = part, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def add(self, quarantine: Quarantine) -> None:
        self._part.add(quarantine)
        if not self._heard:
            self._heard = True
            raise StoreUnavailable("the connection was lost")


def test_an_order_that_was_kept_unheard_is_told_once_and_as_what_it_is(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        responding = _responding(estate, calls, quarantines=Unconfirmed(estate.state.quarantines))
        with pytest.raises(StoreUnavailable):
            responding.observe(DENIED)
        for _ in range(2):
            responding.observe(DENIED)
        (order,), (finding,) = estate.state.quarantines.active(), estate.state.findings.list()
        assert (order.finding, finding.count, calls) == (finding.id, 1, ["woken"])
        assert estate.actions() == ["automation:contain: response triggered api"]


def test_a_finding_that_could_not_be_written_is_written_later_and_the_order_only_once(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        calls: list[str] = []
        responding = _responding(estate, calls, findings=Failing(estate.state.findings, "record", 1))
        with pytest.raises(StoreUnavailable):
            responding.observe(DENIED)
        assert calls == ["woken"], "the order does not wait for the account of it"
        responding.observe(DENIED)
        (order,), (finding,) = estate.state.quarantines.active(), estate.state.findings.list()
        assert (order.finding, finding.kind, finding.count) == (finding.id, FindingKind.DETECTION, 1)
        assert (finding.sentence, finding.response) == (order.reason, "quarantine")
        assert len(finding.flows) == 3


def test_a_notice_is_a_finding(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        responding = _responding(estate, [])
        text = POLICY.replace("count: 3", "action: notify, count: 3")
        estate.state.policies.apply(text=text, author="ada", reason="", at=NOW)
        responding._policy.refresh()
        responding.observe(DENIED)
        (finding,) = estate.state.findings.list()
        assert (finding.response, finding.workload) == ("notify", API.id)
        assert estate.state.quarantines.active() == ()


def test_a_workload_that_a_person_isolated_meanwhile_is_not_isolated_twice(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        stale = Failing(estate.state.quarantines, "add", 1)
        responding = _responding(estate, [], quarantines=stale)
        with pytest.raises(StoreUnavailable):
            responding.observe(DENIED)
        estate.state.quarantines.add(
            Quarantine(
                id="ada's",
                workload=API.id,
                workload_name="api",
                host="h1",
                state=QuarantineState.APPLYING,
                reason="scan",
                author="ada",
                created=NOW,
                expires=NOW + timedelta(hours=1),
            )
        )
        responding.observe(DENIED)
        assert [item.id for item in estate.state.quarantines.active()] == ["ada's"]
        assert estate.actions() == ["automation:contain: response withheld api"]


@pytest.mark.parametrize(("role", "isolated"), [("db", True), ("api", False), (None, False)])
def test_the_cap_for_a_label_counts_workloads_of_other_hosts_by_their_own_labels(
    tmp_path: Path, role: str | None, isolated: bool
) -> None:
    policy = POLICY.replace("max_per_hour: 1", "max_per_hour: 9, max_per_label: {role: 1}")
    with Estate(tmp_path) as estate:
        there = replace(API, id="id-there", host="h2", labels={"role": role or ""})
        if role is not None:
            estate.state.workloads.save([there])
        estate.state.quarantines.add(
            Quarantine(
                id="there",
                workload=there.id,
                workload_name="there",
                host="h2",
                state=QuarantineState.VERIFIED,
                reason="scan",
                author="automation:contain",
                created=NOW,
                expires=NOW + timedelta(hours=1),
            )
        )
        responding = _responding(estate, [], policy=policy)
        responding.observe(DENIED)
        assert (API.id in {item.workload for item in estate.state.quarantines.active()}) is isolated
