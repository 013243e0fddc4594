"""Automation: enough denied attempts become an order, and what is withheld is recorded too."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ringfence.model.policy import Selector
from ringfence.model.quarantine import QuarantineState
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


def _responding(estate: Estate, calls: list[str], protected: Selector | None = None) -> Responding:
    estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
    return Responding(
        policy=PolicyInForce(estate.state.policies),
        quarantines=estate.state.quarantines,
        find=lambda workload: API if workload == API.id else None,
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
        estate.state.quarantines.save(replace(order, state=QuarantineState.RELEASED, released=NOW, released_by="ada"))
        again = Responding(
            policy=PolicyInForce(estate.state.policies),
            quarantines=estate.state.quarantines,
            find=lambda workload: API,
            account=estate.audit.append,
            wake=lambda: None,
            clock=lambda: NOW + timedelta(seconds=2),
        )
        again.observe(DENIED)
        assert estate.state.quarantines.active() == ()
        assert estate.actions()[-1] == "automation:contain: response withheld api"
