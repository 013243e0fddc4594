"""Why a flow has its verdict, and where the record says otherwise."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policy_engine.judge import Judge
from policy_engine.parse import parse_policy
from tests.support.estate import API, DB, NOW, Estate, flow_row, flow_table
from web.explanation import Explanation, Way, explain_flow, lines_of

TEXT = """\
version: 1
groups: [{name: databases, selector: "role == 'db'", mode: protect}]
tiers: [{name: guard, default: pass}, {name: application}]
policies:
  - {name: all, tier: guard, selector: all(), ingress: [{action: deny, from: {networks: [192.0.2.0/24]}}]}
  - name: db
    tier: application
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}
"""
CLOSED = TEXT.replace("action: allow", "action: deny")
RULE = "application/db/ingress/0"


def judged(text: str = TEXT, revision: int = 1, **changes: Any) -> dict[str, Any]:
    """A row as the judge leaves it."""
    (row,) = Judge(parse_policy(text), revision).judge(flow_table(flow_row(1, **changes))).flows.to_pylist()
    return dict(row)


def applied(estate: Estate, *texts: str) -> None:
    """Revisions 1, 2, ..., an hour apart, the first two hours ago."""
    for number, text in enumerate(texts):
        at = NOW - timedelta(hours=2 - number)
        estate.state.policies.apply(text=text, author="ada", reason="r", at=at)
    estate.state.workloads.save([API, DB])


def ways(found: Explanation) -> tuple[Way, Way]:
    egress, ingress = found.ways
    return egress, ingress


def test_both_ends_are_told_tier_by_tier_with_rules_in_words_and_their_lines(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, TEXT)
        found = explain_flow(estate.state, judged(ingress_rule=RULE, rule=RULE))
        egress, ingress = ways(found)
        assert [(tier.tier, tier.ending) for tier in egress.tiers] == [("guard", "skipped"), ("application", "skipped")]
        assert [(tier.tier, tier.ending) for tier in ingress.tiers] == [("guard", "passed"), ("application", "rule")]
        (rule,) = ingress.tiers[0].policies[0].rules
        assert (rule.words, rule.action, rule.differs) == ("any service from 192.0.2.0/24", "deny", "peer")
        line = next(number for number, text in enumerate(TEXT.splitlines(), 1) if "5432" in text)
        assert (ingress.rule, ingress.line, ingress.mode, ingress.agrees) == (RULE, line, "protect", True)
        assert (egress.rule, egress.line, egress.mode) == ("egress/default", None, "discover")
        assert (found.revision, found.decided_by, found.agrees, found.notes) == (1, "ingress", True, ())
        assert found.sentence == judged()["staged_sentence"]


@pytest.mark.parametrize(
    ("texts", "revision", "words"),
    [
        ((TEXT,), None, "no policy has judged"),
        ((TEXT,), 9, "revision 9 of the policy is not known any more"),
        (("version: 99\n",), 1, "cannot be read by this version"),
    ],
    ids=["not-judged", "gone", "unreadable"],
)
def test_without_its_revision_nothing_is_asked_and_the_reason_is_said(
    tmp_path: Path, texts: tuple[str, ...], revision: int | None, words: str
) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, *texts)
        found = explain_flow(estate.state, judged() | {"revision": revision})
        assert (found.ways, found.agrees, found.outcome) == ((), None, "")
        assert words in found.notes[0]


def test_a_workload_that_is_gone_is_judged_by_the_labels_of_then(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, TEXT)
        found = explain_flow(estate.state, judged(dst_workload="id-old", dst_name="db-old"))
        assert ways(found)[1].rule == RULE
        assert [note for note in found.notes if "db-old is not known any more" in note]


def test_what_the_kernel_did_by_a_former_revision_is_said_with_that_revision(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, TEXT, CLOSED)
        began_before = judged(CLOSED, 2, ingress_rule=RULE, rule=RULE, started=NOW - timedelta(minutes=90))
        found = explain_flow(estate.state, began_before)
        assert (ways(found)[1].outcome, ways(found)[1].agrees) == ("denied", False)
        (note,) = found.notes
        assert note == (
            f"at the destination the kernel went by {RULE}, which allowed it; by revision 2 there is {RULE}, and it is "
            "denied: that is what revision 1 says, which was in force when the connection began"
        )


def test_why_the_kernel_did_otherwise_is_left_open_where_no_former_revision_says_it(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, TEXT, CLOSED)
        (note,) = explain_flow(estate.state, judged(CLOSED, 2, ingress_rule=RULE, rule=RULE)).notes
        assert note.endswith(
            "the rules of another revision, or other labels or addresses, may have been in force there"
        )


def test_a_stored_verdict_that_the_revision_does_not_give_is_said(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, TEXT)
        row = judged() | {"staged": "denied", "staged_rule": "application/ingress/default"}
        found = explain_flow(estate.state, row)
        assert found.agrees is False
        assert any("denied by application/ingress/default" in note and f"allowed by {RULE}" in note
                   for note in found.notes)  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "kernel_rule", "agrees"),
    [
        (["role=db"], RULE, True),
        (["role=db"], "not-enforced/ingress/default", False),
        (["role=mail"], "not-enforced/ingress/default", True),
        (["role=mail"], "guard/ingress/default", False),
        (["role=db"], "quarantine/ingress/default", None),
        (["role=db"], None, None),
    ],
    ids=["protect", "protect-but-open", "discover", "discover-but-ruled", "quarantine", "not-named"],
)
def test_the_kernels_rule_is_compared_by_the_mode_of_that_revision(
    tmp_path: Path, labels: list[str], kernel_rule: str | None, agrees: bool | None
) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, TEXT)
        found = explain_flow(estate.state, judged(dst_labels=labels, ingress_rule=kernel_rule))
        assert ways(found)[1].agrees is agrees
        assert ("was in quarantine" in " ".join(found.notes)) is (kernel_rule or "").startswith("quarantine")
        assert any("the kernel went by" in note for note in found.notes) is (agrees is False)


def test_an_end_outside_is_not_judged_and_a_host_has_no_rules(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, TEXT)
        outside = dict.fromkeys(("src_workload", "src_name", "src_kind", "src_labels"))
        found = explain_flow(estate.state, judged(**outside, src_ip="192.0.2.7"))
        assert [way.judged for way in found.ways] == [False, True]
        assert ways(found)[1].rule == "guard/all/ingress/0"
        assert ways(explain_flow(estate.state, judged(dst_kind="host")))[1].mode is None
        neither = judged(**outside, **dict.fromkeys(("dst_workload", "dst_name", "dst_kind", "dst_labels")))
        assert explain_flow(estate.state, neither).agrees is None


def test_every_rule_and_default_has_its_line() -> None:
    lines = lines_of(parse_policy(TEXT))
    assert lines[RULE] == len(TEXT.splitlines())
    assert lines["guard/egress/default"] == lines["application/ingress/default"] == 3


class CountedLists:
    """Policies that count how often their list is asked for."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.lists = inner, 0

    def list(self, **options: Any) -> Any:
        self.lists += 1
        return self.inner.list(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_the_former_revision_is_looked_for_once_and_only_where_the_kernel_differs(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        applied(estate, "no policy", TEXT)
        counted: Any = CountedLists(estate.state.policies)
        estate.state.policies = counted
        before = {"revision": 2, "started": NOW - timedelta(minutes=90)}
        labels = {"src_labels": ["role=db"], "dst_labels": ["role=db"]}
        other = {"egress_rule": "application/other/egress/0", "ingress_rule": "application/other/ingress/0"}
        found = explain_flow(estate.state, judged(**before, **labels, **other))
        assert [way.agrees for way in found.ways] == [False, False]
        assert counted.lists == 1
        explain_flow(estate.state, judged(**before, ingress_rule=RULE, rule=RULE))
        assert counted.lists == 1
