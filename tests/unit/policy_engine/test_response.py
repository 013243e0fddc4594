from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.response import MAX_SOURCES, Acted, Responder, ResponseDecision
from ringfence.model.policy import PolicySet, ResponseAction, ResponseRule, Selector
from ringfence.model.workload import Workload, WorkloadKind
from tests.support.policies import START, end_columns, flow_row, flow_table, workload

DB = workload("db", {"role": "db"}, ["10.0.0.3"])
BATCH = workload("batch", {"role": "batch"}, ["10.0.0.9"])
NOW = START + timedelta(seconds=5)


def rule(**changes: object) -> ResponseRule:
    fields: dict[str, object] = {
        "name": "contain",
        "destination": Selector(text="role == 'db'"),
        "count": 3,
        "within": timedelta(seconds=10),
        "expires": timedelta(hours=1),
        "max_per_hour": 2,
    }
    return ResponseRule(**(fields | changes))  # type: ignore[arg-type]


def responder(*rules: ResponseRule, protected: str = "") -> Responder:
    selector = Selector(text=protected) if protected else None
    return Responder(PolicySet(responses=rules or (rule(),)), protected=selector)


def attempts(count: int, source: Workload = BATCH, *, first: int = 0, step: int = 100, **columns: object) -> pa.Table:
    """Denied connections to the database, one every `step` milliseconds."""
    ends = end_columns("src", source) | end_columns("dst", DB) | {"enforced": "denied", "rule": "t/p/ingress/0"}
    rows = [flow_row(first + number * step, **(ends | columns)) for number in range(count)]
    return flow_table([{**row, "flow_id": f"{source.name}-{row['flow_id']}"} for row in rows])


def outcomes(decisions: Sequence[ResponseDecision]) -> list[tuple[str, bool, str]]:
    return [(item.workload, item.act, item.withheld) for item in decisions]


def test_enough_denied_connections_in_time_call_for_a_quarantine() -> None:
    (decision,) = responder().observe(attempts(3), now=NOW)
    assert (decision.act, decision.workload, decision.rule) == (True, "id-batch", "contain")
    assert decision.action is ResponseAction.QUARANTINE
    assert decision.expires == timedelta(hours=1)
    assert decision.flows == ("batch-f000000", "batch-f000100", "batch-f000200")
    assert decision.reason == (
        "batch had 3 connections to workloads that match role == 'db' denied within 10 s (response contain)"
    )


def test_too_few_or_too_slow_call_for_nothing() -> None:
    assert responder().observe(attempts(2), now=NOW) == ()
    assert responder().observe(attempts(9, step=6000), now=START + timedelta(minutes=1)) == ()


def test_attempts_are_counted_across_batches_and_each_flow_once() -> None:
    machine = responder()
    for _ in range(5):
        assert machine.observe(attempts(2), now=NOW) == ()
    assert len(machine.observe(attempts(3), now=NOW)) == 1
    assert machine.observe(attempts(3), now=NOW + timedelta(seconds=40)) == ()


@pytest.mark.parametrize(
    "columns",
    [
        {"enforced": "allowed", "staged": "denied"},
        {"enforced": None},
        {"rule": "quarantine/egress/default"},
        {"dst_labels": ["role=web"]},
        {"dst_workload": None},
        {"src_workload": None},
    ],
)
def test_what_was_not_denied_by_policy_to_the_named_label_does_not_count(columns: dict[str, object]) -> None:
    assert responder().observe(attempts(9, **columns), now=NOW) == ()


@pytest.mark.parametrize(
    ("changes", "columns", "withheld"),
    [
        ({}, {"src_method": "unknown"}, "the source is not known for certain"),
        ({}, {"src_method": "interval"}, "the source is not known for certain"),
        ({}, {"src_kind": "host"}, "automation does not isolate a host"),
        ({}, {"src_kind": None}, "automation does not isolate a workload of unknown kind"),
        ({"protected": Selector(text="role == 'batch'")}, {}, "the workload is protected"),
        ({"dry_run": True}, {}, "dry run"),
    ],
)
def test_a_withheld_decision_is_reported_with_its_reason(
    changes: dict[str, object], columns: dict[str, object], withheld: str
) -> None:
    decisions = responder(rule(**changes)).observe(attempts(3, **columns), now=NOW)
    assert outcomes(decisions) == [("id-batch", False, withheld)]


def test_the_products_protected_selector_holds_for_every_rule() -> None:
    machine = responder(protected="role == 'batch'")
    assert outcomes(machine.observe(attempts(3), now=NOW)) == [("id-batch", False, "the workload is protected")]


def test_a_withheld_decision_is_not_repeated_for_ten_minutes() -> None:
    machine = responder(rule(protected=Selector(text="all()")))
    assert len(machine.observe(attempts(30), now=NOW)) == 1
    later = START + timedelta(minutes=11)
    again = attempts(30, first=11 * 60_000)
    assert len(machine.observe(again, now=later + timedelta(seconds=3))) == 1


def test_a_storm_is_capped_and_the_rest_is_reported() -> None:
    sources = [workload(f"w{number:03}", {"role": "batch"}, [f"10.1.{number % 250}.1"]) for number in range(500)]
    storm = pa.concat_tables([attempts(3, source) for source in sources])
    decisions = responder().observe(storm, now=NOW)
    assert sum(item.act for item in decisions) == 2
    assert sum(item.withheld == "the cap of 2 per hour is reached" for item in decisions) == 498


def test_many_rules_do_not_multiply_the_cap() -> None:
    sources = [workload(f"w{number}", {"role": "batch"}, [f"10.0.1.{number}"]) for number in range(6)]
    rules = [rule(name=f"r{number}", source=Selector(text=f"name == 'w{number}'")) for number in range(6)]
    tables = [attempts(3, item, src_labels=[f"name={item.name}"]) for item in sources]
    decisions = responder(*rules).observe(pa.concat_tables(tables), now=NOW)
    assert [item.act for item in decisions] == [True, True, False, False, False, False]


def test_dry_runs_and_notices_use_up_no_cap_but_their_own() -> None:
    loud = [rule(name="trial", dry_run=True, count=1), rule(name="tell", action=ResponseAction.NOTIFY, count=1)]
    decisions = responder(*loud, rule(max_per_hour=1)).observe(attempts(3), now=NOW)
    assert [item.rule for item in decisions if item.act] == ["tell", "tell", "contain"]
    assert [item.withheld for item in decisions if item.rule == "trial"][-1] == "the cap of 2 per hour is reached"


def test_not_all_of_one_label_are_isolated() -> None:
    batch = [workload(f"b{number}", {"role": "batch"}, [f"10.0.1.{number}"]) for number in range(3)]
    web = workload("web", {"role": "web"}, ["10.0.2.1"])
    machine = responder(rule(max_per_hour=10, max_per_label=(("role", 1), ("team", 1))))
    decisions = machine.observe(pa.concat_tables([attempts(3, item) for item in (*batch, web)]), now=NOW)
    assert {item.workload: item.withheld for item in decisions} == {
        "id-b0": "",
        "id-b1": "the cap of 1 per hour for role batch is reached",
        "id-b2": "the cap of 1 per hour for role batch is reached",
        "id-web": "",
    }


@pytest.mark.parametrize(
    ("labels", "minutes", "act"),
    [
        pytest.param({"role": "batch"}, 5, False, id="of the same label"),
        pytest.param({"role": "web"}, 5, True, id="of another label"),
        pytest.param(None, 5, False, id="whose labels nobody knows any more"),
        pytest.param({"role": "batch"}, 60, True, id="an hour ago"),
    ],
)
def test_what_was_isolated_elsewhere_counts(labels: dict[str, str] | None, minutes: int, act: bool) -> None:
    before = Acted(rule="another", workload="w", at=NOW - timedelta(minutes=minutes), labels=labels)
    machine = responder(rule(max_per_label=(("role", 1),)))
    assert [item.act for item in machine.observe(attempts(3), now=NOW, isolated=[before])] == [act]


def test_what_is_known_from_elsewhere_is_not_counted_twice() -> None:
    machine = responder()
    machine.observe(attempts(3), now=NOW)
    before = Acted(rule="contain", workload="id-batch", at=NOW, labels={"role": "batch"})
    other = workload("other", {"role": "batch"}, ["10.0.0.8"])
    assert [item.act for item in machine.observe(attempts(3, other), now=NOW, isolated=[before])] == [True]


def test_the_cap_frees_itself_after_an_hour() -> None:
    machine = responder(rule(max_per_hour=1))
    sources = [workload(f"w{number}", {"role": "batch"}, [f"10.0.1.{number}"]) for number in range(3)]
    assert [item.act for item in machine.observe(attempts(3, sources[0]), now=NOW)] == [True]
    assert [item.act for item in machine.observe(attempts(3, sources[1]), now=NOW)] == [False]
    later = 3_600_000 + 10_000
    found = machine.observe(attempts(3, sources[2], first=later), now=START + timedelta(milliseconds=later + 1000))
    assert [item.act for item in found] == [True]


def test_a_quarantined_workload_is_left_alone_and_so_is_one_just_ordered() -> None:
    assert responder().observe(attempts(9), now=NOW, quarantined=frozenset({"id-batch"})) == ()
    machine = responder(rule(), rule(name="other"))
    assert [item.rule for item in machine.observe(attempts(9), now=NOW)] == ["contain"]
    assert machine.observe(attempts(9, first=1000), now=NOW + timedelta(seconds=1)) == ()


def test_a_released_workload_that_does_it_again_is_taken_again() -> None:
    machine = responder()
    assert len(machine.observe(attempts(3), now=NOW)) == 1
    later = 60_000
    again = machine.observe(attempts(3, first=later), now=START + timedelta(milliseconds=later + 500))
    assert outcomes(again) == [("id-batch", True, "")]


def test_notifying_needs_no_certainty() -> None:
    machine = responder(rule(action=ResponseAction.NOTIFY, protected=Selector(text="all()")))
    assert outcomes(machine.observe(attempts(3, src_method="unknown"), now=NOW)) == [("id-batch", True, "")]


def test_old_evidence_triggers_nothing() -> None:
    assert responder().observe(attempts(9), now=START + timedelta(hours=2)) == ()


def test_a_clock_that_ran_ahead_counts_as_now() -> None:
    assert len(responder().observe(attempts(3, first=3_600_000), now=NOW)) == 1


def test_the_source_selector_limits_who_is_acted_upon() -> None:
    assert responder(rule(source=Selector(text="role == 'web'"))).observe(attempts(9), now=NOW) == ()
    assert len(responder(rule(source=Selector(text="role == 'batch'"))).observe(attempts(3), now=NOW)) == 1


def test_another_policy_keeps_counts_and_caps_of_rules_that_stay() -> None:
    machine = responder(rule(max_per_hour=1))
    machine.observe(attempts(2), now=NOW)
    same = machine.replaced(PolicySet(responses=(rule(max_per_hour=1),)))
    assert len(same.observe(attempts(3), now=NOW)) == 1
    changed = same.replaced(PolicySet(responses=(rule(max_per_hour=1, count=2),)))
    other = workload("other", {"role": "batch"}, ["10.0.0.8"])
    assert outcomes(changed.observe(attempts(2, other), now=NOW)) == [
        ("id-other", False, "the cap of 1 per hour is reached")
    ]
    assert machine.replaced(PolicySet()).observe(attempts(9), now=NOW) == ()


def test_memory_is_bounded() -> None:
    machine = responder(rule(count=5))
    ends = end_columns("src", BATCH) | end_columns("dst", DB) | {"enforced": "denied"}
    for start in range(0, MAX_SOURCES + 500, 500):
        names = [f"w{number}" for number in range(start, start + 500)]
        rows = [flow_row(0, **ends) | {"src_workload": name, "flow_id": name} for name in names]
        machine.observe(flow_table(rows), now=NOW)
    assert len(machine._attempts) == MAX_SOURCES


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 25_000), max_size=12), st.integers(1, 4))
def test_how_attempts_are_cut_into_batches_does_not_matter_when_they_come_in_order(
    offsets: list[int], count: int
) -> None:
    times = sorted(set(offsets))
    now = START + timedelta(seconds=26)
    whole, pieces = (responder(rule(count=count, max_per_hour=1000)) for _ in range(2))
    tables = [attempts(1, first=offset) for offset in times]
    at_once = whole.observe(pa.concat_tables(tables), now=now) if tables else ()
    one_by_one = tuple(item for table in tables for item in pieces.observe(table, now=now))
    assert at_once == one_by_one
    assert bool(at_once) == _brute_force(times, count)


def _brute_force(times: list[int], count: int) -> bool:
    return any(sum(end - 10_000 < other <= end for other in times) >= count for end in times)


def test_kinds_that_automation_isolates_are_containers_pods_and_vms() -> None:
    for kind, act in ((WorkloadKind.CONTAINER, True), (WorkloadKind.POD, True), (WorkloadKind.HOST, False)):
        decisions = responder().observe(attempts(3, src_kind=kind.value), now=NOW)
        assert [item.act for item in decisions] == [act]


def test_an_empty_batch_and_a_policy_without_responses_are_no_trouble() -> None:
    assert responder().observe(attempts(0), now=NOW) == ()
    assert Responder(PolicySet()).observe(attempts(9), now=datetime.fromisoformat("2026-01-01T00:00:00+00:00")) == ()
