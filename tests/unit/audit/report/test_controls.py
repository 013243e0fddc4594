from __future__ import annotations

from dataclasses import replace

import pytest

from audit.report import controls
from audit.report.completeness import limited
from audit.report.controls import CONTROLS, Result
from audit.report.evidence import Evidence
from ringfence.model.quarantine import QuarantineState
from tests.support.audit_sources import ListTrail, enforcement, evidence, flow, quarantine, revision, slipped

WHOLE_SHOP = """
version: 1
default_mode: protect
tiers: [{name: t}]
policies:
  - name: everyone
    tier: t
    selector: all()
    ingress: [{action: allow, services: [{protocol: tcp, ports: [5432]}]}]
    egress: [{action: allow, services: [{protocol: tcp, ports: [5432]}]}]
"""


def sound() -> Evidence:
    """Everything limited, proven, observed and whole."""
    return evidence([flow()], text=WHOLE_SHOP)


def results(found: Evidence) -> dict[str, Result]:
    return {control.id: control.decide(found).result for control in CONTROLS}


def test_controls_have_unique_ids_within_their_catalogue() -> None:
    assert len({(control.framework, control.id) for control in CONTROLS}) == len(CONTROLS)


def test_a_sound_shop_passes_what_can_be_proven_and_nothing_fails() -> None:
    found = results(sound())
    passed = {key for key, result in found.items() if result is Result.PASS}
    assert passed == {"1.2.1", "1.2.5", "1.2.6", "1.2.8", "1.3.1", "1.3.2", "AC-4", "SC-7", "SC-7(5)", "5.10", "5.30"}
    assert Result.FAIL not in found.values()


def test_over_an_incomplete_picture_no_absence_is_claimed() -> None:
    whole = sound()
    broken = replace(whole, completeness=limited(whole.completeness, "1 gap recorded on h1"))
    found = results(broken)
    for key in ("AC-4", "SC-7", "1.2.5", "1.2.6", "5.10", "5.30"):
        assert found[key] is Result.UNDECIDED, key
    reason = next(control for control in CONTROLS if control.id == "AC-4").decide(broken).reason
    assert "1 gap recorded on h1" in reason


def test_without_any_traffic_or_any_workload_nothing_was_observed() -> None:
    silent = replace(sound(), edges=())
    assert results(silent)["AC-4"] is Result.UNDECIDED
    nobody = results(replace(sound(), scope=()))
    assert Result.PASS not in {nobody[key] for key in ("AC-4", "SC-7", "SC-7(5)", "1.3.1", "1.2.8", "5.10", "5.30")}


def test_a_violation_fails_even_over_a_gap() -> None:
    found = evidence([flow(), slipped()], text=WHOLE_SHOP)
    found = replace(found, completeness=limited(found.completeness, "1 gap"))
    assert results(found)["AC-4"] is results(found)["SC-7"] is results(found)["11.4.5"] is Result.FAIL
    assert controls.no_violation(found).reason.startswith("1 connection went through that the policy denies")


def test_limits_that_are_not_enforced_fail_and_without_proof_are_not_decided() -> None:
    monitoring = evidence([flow()], text=WHOLE_SHOP.replace("protect", "monitor"))
    assert results(monitoring)["1.3.1"] is Result.FAIL
    unproven = evidence([flow()], text=WHOLE_SHOP, enforcements=(enforcement("db"),))
    assert results(unproven)["1.3.1"] is Result.UNDECIDED
    assert results(unproven)["1.2.8"] is Result.UNDECIDED


def test_a_service_no_rule_names_fails_and_clear_text_is_for_a_person() -> None:
    assert results(evidence([flow(enforced_basis="default")], text=WHOLE_SHOP))["1.2.5"] is Result.FAIL
    assert results(evidence([flow(port=23)], text=WHOLE_SHOP))["1.2.6"] is Result.UNDECIDED


def test_policy_without_author_reason_or_revision_fails() -> None:
    unreasoned = replace(sound(), history=(revision(1, reason=" "),))
    assert results(unreasoned)["1.2.1"] is Result.FAIL
    never = replace(sound(), revision=revision(0))
    assert results(never)["1.2.1"] is results(never)["1.2.7"] is Result.FAIL


@pytest.mark.parametrize("state", [QuarantineState.FAILED, QuarantineState.PARTIAL])
def test_isolation_passes_only_on_proof(state: QuarantineState) -> None:
    assert results(sound())["SC-7(20)"] is Result.UNDECIDED
    assert results(replace(sound(), quarantines=(quarantine(),)))["SC-7(20)"] is Result.PASS
    assert results(replace(sound(), quarantines=(quarantine(), quarantine(2, state=state))))["SC-7(20)"] is Result.FAIL
    assert results(replace(sound(), quarantines=(quarantine(proof=None),)))["SC-7(20)"] is Result.UNDECIDED


def test_a_broken_audit_log_leaves_consistency_undecided() -> None:
    whole = sound()
    found = replace(whole, completeness=replace(whole.completeness, verification=ListTrail(problem="x").verify()))
    assert results(found)["1.2.8"] is Result.UNDECIDED
