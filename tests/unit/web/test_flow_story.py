"""The whole story of one flow."""

from __future__ import annotations

from typing import Any

from tests.support.estate import flow_row
from tests.support.site import Site
from web.flow_story import story_of
from web.verdicts import Shown


def test_a_denied_flow_names_its_rule_and_the_line_of_its_policy(shop: Site) -> None:
    row = flow_row(1, enforced="denied", rule="application/db/ingress/0", ingress_rule="application/db/ingress/0",
                   sentence="no", revision=1)  # fmt: skip
    story = story_of(shop.state, row)
    assert story.shown is Shown.DENIED
    enforced = next(step for step in story.decisions if step.where.startswith("enforced"))
    revision = shop.state.policies.get(1)
    assert revision is not None
    assert enforced.line is not None
    assert "api" in revision.text.splitlines()[enforced.line - 1]


def test_the_default_of_a_tier_has_a_line_too(shop: Site) -> None:
    story = story_of(shop.state, flow_row(1, rule="application/egress/default", revision=1))
    assert story.decisions[0].line is not None


def test_translation_is_told_with_both_addresses(shop: Site) -> None:
    story = story_of(shop.state, flow_row(1, nat_src_ip="198.51.100.4", nat_src_port=4000, reporter="src+host"))
    assert story.translated
    assert story.ends[0].translated == "198.51.100.4:4000"
    assert len(story.legs) == 2


def test_an_imported_flow_has_no_verdict_and_no_ending_in_doubt(shop: Site) -> None:
    story = story_of(shop.state, flow_row(1, enforced=None, end_reason="imported", src_ip="fd00::1"))
    assert story.shown is Shown.UNKNOWN
    assert story.ends[0].address.startswith("[fd00::1]:")
    assert story.total is None


def test_a_revision_that_is_gone_leaves_the_rule_without_a_line(shop: Site) -> None:
    story = story_of(shop.state, flow_row(1, rule="application/db/ingress/0", revision=999))
    assert [step.line for step in story.decisions if step.rule] == [None]


def test_the_story_has_the_trace_of_both_ends(shop: Site) -> None:
    story = story_of(shop.state, flow_row(1, revision=1))
    assert [way.direction for way in story.explanation.ways] == ["egress", "ingress"]


KERNEL = {"egress_rule": "application/egress/default", "ingress_rule": "application/db/ingress/0"}


def test_what_the_kernel_named_at_an_end_is_told_where_the_trace_says_nothing_of_it(shop: Site) -> None:
    def named(**changes: Any) -> list[tuple[str, str]]:
        story = story_of(shop.state, flow_row(1, **KERNEL, **changes))
        return [(step.where, step.rule) for step in story.decisions if step.where.startswith("the kernel")]

    source, destination = (
        ("the kernel at the source", KERNEL["egress_rule"]),
        ("the kernel at the destination", KERNEL["ingress_rule"]),
    )
    assert named(revision=1) == []
    assert named(revision=999) == named(revision=None) == [source, destination]
    outside = {"src_workload": None, "src_name": None, "src_kind": "external", "src_labels": None}
    assert named(revision=1, **outside) == [source]


class CountedPolicies:
    """Policies that count how often one revision is read."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.gets = inner, 0

    def get(self, revision: int) -> Any:
        self.gets += 1
        return self.inner.get(revision)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_the_revision_is_read_once_for_a_story(own_shop: Site) -> None:
    counted: Any = CountedPolicies(own_shop.state.policies)
    own_shop.state.policies = counted
    assert story_of(own_shop.state, flow_row(1, rule=KERNEL["ingress_rule"], revision=1)).decisions[0].line
    assert counted.gets == 1
