"""From policy and inventory to rules: compiled when one of them changed, and reports are accounted for as news."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ringfence import metrics
from ringfence.errors import StoreUnavailable
from ringfence.model.enforcement import Drift, Enforcement, EnforcementState, Rollout
from ringfence.model.ruleset import Ruleset
from ringfence.model.verdict import Mode
from ringfence.model.workload import Workload
from ringfence.service.enforcing import PATIENCE, Enforcing
from ringfence.service.policy import PolicyInForce
from ringfence.service.reported import Reported
from tests.support.estate import API, DB, NOW, Estate, container

POLICY = """
version: 1
groups: [{name: databases, selector: "role == 'db'", mode: protect}]
tiers: [{name: application, default: deny}]
policies:
  - name: db
    tier: application
    selector: "role == 'db'"
    ingress: [{action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}]
"""


class RecordingSink:
    def __init__(self) -> None:
        self.desired: list[Mapping[str, Ruleset]] = []
        self.noticed: list[Sequence[Workload]] = []

    def desire(self, workloads: Sequence[Workload], rulesets: Mapping[str, Ruleset]) -> None:
        self.desired.append(rulesets)

    def notice(self, workloads: Sequence[Workload]) -> None:
        self.noticed.append(workloads)


def _enforcing(estate: Estate, sink: RecordingSink, **options: Any) -> Enforcing:
    return Enforcing(
        policy=PolicyInForce(estate.state.policies),
        state=estate.state,
        sink=sink,
        account=estate.audit.append,
        **{"clock": lambda: NOW, "workloads": lambda: (API, DB), **options},
    )


def test_the_kernel_keeps_what_it_has_until_the_inventory_is_complete(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        sink, settled = RecordingSink(), [False]
        enforcing = _enforcing(estate, sink, settled=lambda: settled[0])
        enforcing.step()
        assert (sink.desired, enforcing.in_force) == ([], None)
        assert sink.noticed == [(API, DB)], "quarantines are kept meanwhile"
        settled[0] = True
        enforcing.step()
        settled[0] = False
        enforcing.inventory_changed()
        enforcing.step()
        assert len(sink.desired) == 2, "an engine that falls silent later holds nothing up"
        assert len(sink.noticed) == 1


def test_an_engine_that_never_answers_holds_the_first_rules_up_for_a_while_only(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        sink, now = RecordingSink(), [NOW]
        enforcing = _enforcing(estate, sink, settled=lambda: False, clock=lambda: now[0])
        enforcing.step()
        now[0] += PATIENCE + timedelta(seconds=1)
        enforcing.step()
        assert len(sink.desired) == 1


def test_rules_are_compiled_when_policy_or_inventory_changed_and_not_otherwise(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        sink = RecordingSink()
        enforcing = _enforcing(estate, sink)
        enforcing.step()
        enforcing.step()
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        enforcing.step()
        enforcing.inventory_changed()
        enforcing.step()
        enforcing.step()
        assert [rulesets[DB.id].mode for rulesets in sink.desired] == [Mode.DISCOVER, Mode.PROTECT, Mode.PROTECT]


def test_peers_of_an_engine_with_a_name_of_its_own_are_those_of_its_host(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        sink, machines = RecordingSink(), {}
        workloads = (replace(API, host="engine"), DB)
        enforcing = _enforcing(estate, sink, workloads=lambda: workloads, machines=lambda: machines)
        enforcing.step()
        machines["engine"] = "h1"
        enforcing.inventory_changed()
        enforcing.step()
        assert [sum(len(item.ipv4) for item in rulesets[DB.id].sets) for rulesets in sink.desired] == [0, 1]


def test_an_enforcement_is_accounted_for_once_per_change(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        enforcing = _enforcing(estate, RecordingSink())
        held = Enforcement(workload=DB.id, host="h1", state=EnforcementState.IN_FORCE, digest="d1", since=NOW)
        enforcing.note_enforcement(held)
        enforcing.note_enforcement(held)
        assert estate.actions() == ["enforcer: ruleset applied db"]
        assert estate.state.enforcements.get(DB.id) == held


def test_what_was_told_of_workloads_that_are_gone_is_forgotten(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        known, old = [DB], [container(f"old{number}", address="10.0.0.9") for number in range(3)]
        enforcing = _enforcing(estate, RecordingSink(), workloads=lambda: tuple(known))
        held = Enforcement(workload=DB.id, host="h1", state=EnforcementState.OFF, digest="", since=NOW)
        for workload in (DB, *old):
            enforcing.note_enforcement(replace(held, workload=workload.id))
        enforcing.step()
        assert set(enforcing._seen) == {DB.id}
        enforcing.note_enforcement(held)
        assert estate.actions().count("enforcer: ruleset applied db") == 1


def test_a_drift_whose_finding_could_not_be_kept_at_once_is_told_once(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        findings = Breakable(estate.state.findings)
        estate.state.findings = findings
        reported = Reported(_enforcing(estate, RecordingSink()).note_drift)  # type: ignore[arg-type]
        reported.put(Drift(workload=DB.id, found=NOW, repaired=NOW, what="chain INPUT was flushed"))
        before = metrics.DRIFT_REPAIRED._value.get()
        findings.away = True
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                reported.step()
        findings.away = False
        reported.step()
        assert [finding.count for finding in estate.state.findings.list()] == [1]
        assert estate.actions() == ["enforcer: drift repaired db"]
        assert metrics.DRIFT_REPAIRED._value.get() == before + 1


def test_a_drift_is_an_audit_event_and_a_finding(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        enforcing = _enforcing(estate, RecordingSink())
        enforcing.note_drift(
            Drift(workload=DB.id, found=NOW, repaired=NOW + timedelta(seconds=1.5), what="chain INPUT was flushed")
        )
        (finding,) = estate.state.findings.list()
        assert "put back after 1.5 s: chain INPUT was flushed" in finding.sentence
        assert estate.actions() == ["enforcer: drift repaired db"]


def test_a_revision_is_in_force_only_when_every_workload_has_its_rules(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        sink = RecordingSink()
        enforcing = _enforcing(estate, sink)
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        enforcing.step()
        assert enforcing.in_force is None
        for workload, ruleset in sink.desired[-1].items():
            enforcing.note_enforcement(
                Enforcement(
                    workload=workload, host="h1", state=EnforcementState.IN_FORCE, digest=ruleset.digest, since=NOW
                )
            )
        assert enforcing.in_force == 1


def test_a_revision_that_a_kernel_refused_is_not_in_force(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        sink = RecordingSink()
        enforcing = _enforcing(estate, sink)
        enforcing.step()
        for workload, ruleset in sink.desired[-1].items():
            enforcing.note_enforcement(
                Enforcement(
                    workload=workload, host="h1", state=EnforcementState.FAILED, digest=ruleset.digest, since=NOW
                )
            )
        assert enforcing.in_force is None


def test_a_rollout_counts_what_was_reported_of_the_rules_that_are_wanted(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        sink = RecordingSink()
        enforcing = _enforcing(estate, sink)
        assert enforcing.rollout is None
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        enforcing.step()

        def report(workload: Workload, state: EnforcementState, digest: str | None = None) -> None:
            mine = sink.desired[-1][workload.id].digest if digest is None else digest
            enforcing.note_enforcement(
                Enforcement(workload=workload.id, host="h1", state=state, digest=mine, since=NOW)
            )

        report(API, EnforcementState.IN_FORCE)
        report(DB, EnforcementState.IN_FORCE, "that of another policy")
        assert enforcing.rollout == Rollout(revision=1, workloads=2, states={EnforcementState.IN_FORCE: 1})
        report(DB, EnforcementState.FAILED)
        assert enforcing.rollout.states == {EnforcementState.IN_FORCE: 1, EnforcementState.FAILED: 1}
        report(API, EnforcementState.OFF, "")
        assert enforcing.rollout.states == {EnforcementState.OFF: 1, EnforcementState.FAILED: 1}
        report(API, EnforcementState.IN_FORCE)
        estate.state.policies.apply(text=POLICY.replace("5432", "3306"), author="ada", reason="", at=NOW)
        enforcing.step()
        unchanged = {EnforcementState.IN_FORCE: 1}
        assert enforcing.rollout == Rollout(revision=2, workloads=2, states=unchanged), (
            "equal rules are in force at once"
        )


class Breakable:
    """A part of the state store that can be taken away."""

    def __init__(self, part: Any) -> None:
        self._part, self.away = part, False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreUnavailable("away")
        return getattr(self._part, name)


def test_a_new_workload_gets_its_rules_while_the_state_store_is_away(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        policies, numbers = Breakable(estate.state.policies), Breakable(estate.state.rule_numbers)
        known = [API, DB]
        sink = RecordingSink()
        enforcing = Enforcing(
            policy=PolicyInForce(policies),  # type: ignore[arg-type]
            state=SimpleNamespace(rule_numbers=numbers),  # type: ignore[arg-type]
            sink=sink,
            workloads=lambda: tuple(known),
            account=estate.audit.append,
            clock=lambda: NOW,
        )
        enforcing.step()
        policies.away = numbers.away = True
        known.append(container("db2", address="10.0.0.9", role="db"))
        enforcing.inventory_changed()
        enforcing.step()
        assert sink.desired[-1]["id-db2"].mode is Mode.PROTECT


def test_a_rule_is_named_where_it_stands_in_the_policy_in_force(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        sink = RecordingSink()
        enforcing = _enforcing(estate, sink)
        enforcing.step()
        rule = sink.desired[-1][DB.id].ingress[0]
        assert str(enforcing.rule_name(rule.number)) == "application/db/ingress/0"
        text = POLICY.replace("ingress: [", "ingress: [{action: allow, protocol: icmp}, ")
        estate.state.policies.apply(text=text, author="ada", reason="", at=NOW)
        enforcing.step()
        assert sink.desired[-1][DB.id].ingress[1].number == rule.number
        assert str(enforcing.rule_name(rule.number)) == "application/db/ingress/1"
        estate.state.policies.apply(text="version: 1\n", author="ada", reason="", at=NOW)
        enforcing.step()
        assert str(enforcing.rule_name(rule.number)) == "application/db/ingress/1", "connections outlive their rule"
        assert enforcing.rule_name(60_000) is None


def test_while_no_revision_can_be_read_the_kernel_keeps_what_it_has(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text="version: 99\n", author="ada", reason="", at=NOW)
        sink = RecordingSink()
        enforcing = _enforcing(estate, sink)
        enforcing.inventory_changed()
        enforcing.step()
        assert (sink.desired, enforcing.in_force) == ([], None)
        assert sink.noticed == [(API, DB)]
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        enforcing.step()
        assert enforcing.in_force is None
        assert len(sink.desired) == 1


def test_rules_keep_their_names_while_the_state_store_is_away(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        numbers = Breakable(estate.state.rule_numbers)
        estate.state.rule_numbers = numbers
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        sink = RecordingSink()
        enforcing = _enforcing(estate, sink)
        enforcing.step()
        rule = sink.desired[-1][DB.id].ingress[0]
        estate.state.policies.apply(text="version: 1\n", author="ada", reason="", at=NOW)
        enforcing.step()
        numbers.away = True
        assert str(enforcing.rule_name(rule.number)) == "application/db/ingress/0"
        assert enforcing.rule_name(60_000) is None


def test_a_number_nobody_knows_is_asked_for_once_per_revision(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        asked: list[int] = []
        numbers = Breakable(estate.state.rule_numbers)
        lookup = estate.state.rule_numbers.lookup
        numbers.lookup = lambda number: (asked.append(number), lookup(number))[1]
        estate.state.rule_numbers = numbers
        enforcing = _enforcing(estate, RecordingSink())
        enforcing.step()
        for _ in range(3):
            assert enforcing.rule_name(60_000) is None
        assert asked == [60_000]
        estate.state.policies.apply(text=POLICY, author="ada", reason="", at=NOW)
        enforcing.step()
        assert enforcing.rule_name(60_000) is None
        assert asked == [60_000] * 2
