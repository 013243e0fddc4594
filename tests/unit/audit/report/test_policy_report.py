from __future__ import annotations

from datetime import timedelta

from audit.report.document import Document, Table, Weight
from audit.report.policy_report import make_policy_report, quarantines_in_window
from audit.report.sources import MOST_GROUPS
from ringfence.model.event import EventAction
from ringfence.model.quarantine import Check, Proof, QuarantineState
from tests.support.audit_sources import (
    END,
    START,
    ListTrail,
    enforcement,
    quarantine,
    record,
    revision,
    shop,
    slipped,
    sources,
    state,
)


def table(document: Document, key: str) -> Table:
    return next(found for section in document.sections for found in section.tables if found.key == key)


def test_revisions_name_author_reason_and_text() -> None:
    changed = revision(2, applied=START + timedelta(minutes=3), author="bo", reason="open 8080")
    document = make_policy_report(sources(of=shop(revisions=(revision(), changed))))
    (row,) = table(document, "revisions").rows
    assert row[:4] == (2, changed.applied, "bo", "open 8080")
    assert len(str(row[4])) == 64
    assert "Revision 2 was in force at the end, 1 change in the window" in document.statement


def test_a_list_that_was_cut_says_so() -> None:
    many = [slipped(src_ip=f"10.{number >> 8}.{number & 255}.1") for number in range(MOST_GROUPS)]
    document = make_policy_report(sources(many))
    staged = next(section for section in document.sections if section.key == "staged")
    assert f"Only the {MOST_GROUPS:,} most frequent" in staged.notes[0].text


def test_refused_changes_and_drift_come_from_the_audit_log() -> None:
    trail = ListTrail(
        record(EventAction.POLICY_REFUSED, actor="bo", origin="192.0.2.1", detail={"problems": ["line 3: x"]}),
        record(EventAction.DRIFT_REPAIRED, detail={"what": "chain gone", "open_seconds": 1.5}),
        record(EventAction.DRIFT_REPAIRED, detail={}),
    )
    document = make_policy_report(sources(trail=trail))
    assert table(document, "refused").rows[0][1:] == ("bo", "192.0.2.1", "line 3: x")
    assert [row[2] for row in table(document, "drift").rows] == [1.5, None]


def test_protect_without_a_proof_is_a_warning() -> None:
    document = make_policy_report(sources(of=shop(enforcements=(enforcement("db"),))))
    section = next(section for section in document.sections if section.key == "enforcement")
    assert section.notes[0].weight is Weight.WARNING
    assert "api, web" in section.notes[0].text
    assert "proven for 1 of 3 workloads in protect" in document.statement


def test_quarantines_are_those_that_overlap_the_window() -> None:
    before = quarantine(1, created=START - timedelta(hours=2), released=START - timedelta(hours=1))
    through = quarantine(2, created=START - timedelta(hours=2), released=END + timedelta(hours=1), released_by="anna")
    later = quarantine(3, created=END)
    failed = quarantine(
        4,
        state=QuarantineState.FAILED,
        proof=Proof(at=START, checks=(Check(name="probe", passed=False, detail="got out"),)),
    )
    asked = sources(of=shop(quarantines=(before, through, later, failed, quarantine(5, proof=None))))
    assert [item.id for item in quarantines_in_window(asked)] == ["q2", "q4", "q5"]
    rows = table(make_policy_report(asked), "quarantines").rows
    assert [row[6] for row in rows] == ["all 1 passed", "failed: probe", "no proof"]


def test_what_would_be_denied_is_listed_with_its_rule() -> None:
    document = make_policy_report(sources([slipped(), slipped()]))
    assert table(document, "staged").rows[0][:4] == ("web", "db", "tcp/23", 2)


def test_an_installation_without_policy_says_so() -> None:
    document = make_policy_report(sources(of=state()))
    facts = {fact.label: fact.value for fact in document.sections[0].facts}
    assert "empty policy" in str(facts["By"])
    assert table(document, "rules").empty == "The policy in force has no rules."
    assert "0 of 0 workloads" in document.statement
