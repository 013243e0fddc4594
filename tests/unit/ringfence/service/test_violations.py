"""Findings count connections, not updates of connections."""

from policy_engine.judge import Judge
from policy_engine.parse import parse_policy
from ringfence.service.violations import Violations
from tests.support.estate import flow_row, flow_table

JUDGE = Judge(parse_policy("version: 1\n"), 1)
DENIED = flow_table(*(flow_row(number, enforced="denied") for number in range(3)))


def test_an_update_of_a_denied_flow_is_not_another_violation() -> None:
    violations = Violations()
    findings, flow_ids = violations.find(JUDGE, DENIED)
    assert [finding.count for finding in findings] == [3]
    violations.note(flow_ids)
    assert violations.find(JUDGE, DENIED) == ((), ())


def test_what_was_not_noted_is_found_again() -> None:
    violations = Violations()
    assert violations.find(JUDGE, DENIED) == violations.find(JUDGE, DENIED) != ((), ())


def test_a_flow_that_turns_out_denied_later_counts_then() -> None:
    violations = Violations()
    assert violations.find(JUDGE, flow_table(flow_row(1))) == ((), ())
    assert len(violations.find(JUDGE, flow_table(flow_row(1, enforced="denied")))[0]) == 1


def test_flows_that_a_former_run_counted_stay_counted_until_forgotten() -> None:
    violations = Violations(DENIED.column("flow_id").to_pylist())
    assert violations.find(JUDGE, DENIED) == ((), ())
    violations.forget(DENIED.column("flow_id").to_pylist()[:1])
    assert len(violations.find(JUDGE, DENIED)[1]) == 1
