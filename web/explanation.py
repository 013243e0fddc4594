"""Why a flow has its verdict: the policy that judged it, asked again tier by tier, and where the record differs.

By the labels that stand in the flow and the revision that it names; nothing of today goes in, but whether the record's
workloads and that revision are still known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy_engine.trace import AskedPolicy, AskedRule, AskedTier, Ending, Trace, trace_flow
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import (
    QUARANTINE_TIER,
    UNENFORCED_TIER,
    Direction,
    Mode,
    Outcome,
    RuleRef,
    Verdict,
    parse_ref,
)
from ringfence.store.state import PolicyRevision, State
from web.policy_view import in_words, read_policy

FORMER = 50
"""So many revisions are looked through for the one that was in force when a connection began."""
PLACES = {Direction.EGRESS: "at the source", Direction.INGRESS: "at the destination"}
ENDS = {Direction.EGRESS: "src", Direction.INGRESS: "dst"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStep:
    """One rule that was looked at; `differs` says what of it is not this connection: peer, service, both or nothing."""

    rule: str
    line: int
    action: str
    words: str
    matches: bool
    differs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyStep:
    """A policy that selects the workload; `unasked` of its rules stand behind the one that matched."""

    policy: str
    line: int
    rules: tuple[RuleStep, ...]
    unasked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStep:
    """`ending`: rule, default, passed, skipped or not asked. `rule` names what ended it, at line `ended_at`, `action`
    says what that does; both are empty where nothing did. `others` is how many policies do not select the workload."""

    tier: str
    line: int
    ending: str
    rule: str
    action: str
    ended_at: int
    policies: tuple[PolicyStep, ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction: what the policy says at that end (`outcome`, `rule`, `sentence`), whatever mode is in force there.

    `line` is the rule's. `kernel_rule` is what the kernel named there, empty when it named none. `judged` False: no
    workload of ours is at this end, so nothing is asked. `agrees` None: there is nothing to compare.
    """

    direction: str
    place: str
    workload: str
    judged: bool
    mode: str | None
    outcome: str
    rule: str
    line: int | None
    sentence: str
    kernel_rule: str
    agrees: bool | None
    tiers: tuple[TierStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`ways` is empty when the revision cannot be asked any more; `notes` say why, and what else is not as it was.

    `decided_by` is the direction whose verdict is that of the connection. `agrees` is whether the policy, asked again,
    gives the verdict that is stored as staged; None: there is nothing to compare.
    """

    revision: int | None
    outcome: str
    rule: str
    sentence: str
    decided_by: str
    agrees: bool | None
    ways: tuple[Way, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The revision that judged a flow, and its text as read; None where it is not known or cannot be read: `why`."""

    revision: PolicyRevision | None
    policies: PolicySet | None
    why: str


def judging_of(state: State, row: Mapping[str, Any]) -> Judging:
    """That of a row of the flow schema."""
    found, why = _revision(state, row["revision"])
    policies = read_policy(found.text) if found is not None else None
    if found is not None and policies is None:
        why = f"the text of revision {found.revision} cannot be read by this version, so its tiers cannot be asked"
    return Judging(revision=found, policies=policies, why=why)


def explain_flow(state: State, row: Mapping[str, Any], judging: Judging | None = None) -> Explanation:
    """Ask the revision that judged a row of the flow schema; `judging` is given where it was read already."""
    judging = judging or judging_of(state, row)
    found, policies = judging.revision, judging.policies
    if found is None or policies is None:
        return Explanation(
            revision=row["revision"], outcome="", rule="", sentence="", decided_by="", agrees=None, ways=(),
            notes=(judging.why, *_unknown_ends(state, row)),
        )  # fmt: skip
    trace = trace_flow(policies, row)
    ways = tuple(_way(item, row) for item in (trace.egress, trace.ingress))
    judged = any(way.judged for way in ways) or row["staged"] is not None
    agrees = _staged_agrees(trace.connection, row) if judged else None
    return Explanation(
        revision=found.revision,
        outcome=trace.connection.outcome.value if judged else "",
        rule=str(trace.connection.rule) if judged else "",
        sentence=trace.connection.sentence if judged else "",
        decided_by=trace.connection.rule.direction.value if judged and trace.connection.rule else "",
        agrees=agrees,
        ways=ways,
        notes=(
            *_unknown_ends(state, row),
            *(() if agrees is not False else (_staged_differs(trace.connection, row, found.revision),)),
            *_kernel_notes(state, row, found, ways),
        ),
    )


def lines_of(policies: PolicySet) -> dict[str, int]:
    """Line of each rule and each tier's default, by its name."""
    lines: dict[str, int] = {}
    for tier in policies.tiers:
        for direction in Direction:
            lines[str(RuleRef(tier=tier.name, policy="", direction=direction, index=-1))] = tier.line
        for policy in tier.policies:
            for direction in Direction:
                for index, rule in enumerate(policy.rules(direction) or ()):
                    ref = RuleRef(tier=tier.name, policy=policy.name, direction=direction, index=index)
                    lines[str(ref)] = rule.line or policy.line
    return lines


def _revision(state: State, number: int | None) -> tuple[PolicyRevision | None, str]:
    if number is None:
        return None, "no policy has judged this flow"
    found = state.policies.get(number)
    return (
        found,
        "" if found else f"revision {number} of the policy is not known any more, so its tiers cannot be asked",
    )


def _way(trace: Trace, row: Mapping[str, Any]) -> Way:
    kernel_rule = row[f"{trace.direction.value}_rule"] or ""
    rule = str(trace.verdict.rule)
    deciding = next((tier for tier in trace.tiers if tier.ending in (Ending.RULE, Ending.DEFAULT)), None)
    return Way(
        direction=trace.direction.value,
        place=PLACES[trace.direction],
        workload=trace.subject,
        judged=trace.judged,
        mode=trace.mode.value if trace.mode else None,
        outcome=trace.verdict.outcome.value,
        rule=rule,
        line=deciding.ended_at if deciding else None,
        sentence=trace.verdict.sentence,
        kernel_rule=kernel_rule,
        agrees=_kernel_agrees(trace, kernel_rule, _kernel_outcome(row, kernel_rule)),
        tiers=tuple(map(_tier_step, trace.tiers)),
    )


def _tier_step(tier: AskedTier) -> TierStep:
    return TierStep(
        tier=tier.name,
        line=tier.line,
        ending=tier.ending.value,
        rule=str(tier.ref) if tier.ref else "",
        action=tier.action.value if tier.action else "",
        ended_at=tier.ended_at,
        policies=tuple(map(_policy_step, tier.policies)),
        others=tier.others,
    )


def _policy_step(policy: AskedPolicy) -> PolicyStep:
    rules = tuple(map(_rule_step, policy.rules))
    return PolicyStep(policy=policy.name, line=policy.line, rules=rules, unasked=policy.unasked)


def _rule_step(asked: AskedRule) -> RuleStep:
    differs = [word for word, same in (("peer", asked.peer), ("service", asked.service)) if not same]
    return RuleStep(
        rule=str(asked.ref),
        line=asked.line,
        action=asked.rule.action.value,
        words=in_words(asked.rule, asked.ref.direction),
        matches=asked.matches,
        differs=" and ".join(differs),
    )


def _kernel_outcome(row: Mapping[str, Any], kernel_rule: str) -> str:
    """What the rule that the kernel named did: of two ends one may have allowed what the other denied."""
    denied = row["enforced"] == Outcome.DENIED.value and row["rule"] == kernel_rule
    return (Outcome.DENIED if denied else Outcome.ALLOWED).value


def _kernel_agrees(trace: Trace, kernel_rule: str, outcome: str) -> bool | None:
    """Whether the kernel did what this revision says, by the same rule; None where it named none, or a quarantine's."""
    ref = parse_ref(kernel_rule) if kernel_rule else None
    if ref is None or ref.tier == QUARANTINE_TIER:
        return None
    if trace.mode is not Mode.PROTECT:
        return ref.tier == UNENFORCED_TIER
    return (ref, outcome) == (trace.verdict.rule, trace.verdict.outcome.value)


def _staged_agrees(connection: Verdict, row: Mapping[str, Any]) -> bool:
    return (connection.outcome.value, str(connection.rule)) == (row["staged"], row["staged_rule"])


def _staged_differs(connection: Verdict, row: Mapping[str, Any], revision: int) -> str:
    stored = f"{row['staged']} by {row['staged_rule']}" if row["staged"] else "no verdict of the policy"
    return (
        f"with the flow stands {stored}; revision {revision}, asked again with the flow's labels, says "
        f"{connection.outcome.value} by {connection.rule}"
    )


def _unknown_ends(state: State, row: Mapping[str, Any]) -> Iterator[str]:
    for side in ENDS.values():
        workload = row[f"{side}_workload"]
        if workload and state.workloads.get(workload) is None:
            name = row[f"{side}_name"] or workload
            yield f"workload {name} is not known any more: it is judged by the labels that were stored with the flow"


def _kernel_notes(
    state: State, row: Mapping[str, Any], judged_by: PolicyRevision, ways: tuple[Way, ...]
) -> Iterator[str]:
    """What the kernel did otherwise than the revision says, with the reason where it is known."""
    former = _former(state, row, judged_by) if any(way.agrees is False for way in ways) else None
    for index, way in enumerate(ways):
        if way.kernel_rule.startswith(f"{QUARANTINE_TIER}/"):
            yield f"workload {way.workload} was in quarantine, which comes before every tier"
        if way.agrees is not False:
            continue
        why = "the rules of another revision, or other labels or addresses, may have been in force there"
        if former is not None and former[1][index].agrees:
            why = f"that is what revision {former[0].revision} says, which was in force when the connection began"
        yield (
            f"{way.place} the kernel went by {way.kernel_rule}, which {_kernel_outcome(row, way.kernel_rule)} it; "
            f"by revision {judged_by.revision} there is {_in_kernel(way)}: {why}"
        )


def _in_kernel(way: Way) -> str:
    """What this revision has for the connection in that kernel."""
    if way.mode is None:
        return "no rules"
    if way.mode != Mode.PROTECT.value:
        return f"{UNENFORCED_TIER}/{way.direction}/default"
    return f"{way.rule}, and it is {way.outcome}"


def _former(
    state: State, row: Mapping[str, Any], judged_by: PolicyRevision
) -> tuple[PolicyRevision, tuple[Way, ...]] | None:
    """The revision that was in force when the connection began, when it is another one that can still be read."""
    if row["started"] >= judged_by.applied:
        return None
    earlier = state.policies.list(limit=FORMER, before=judged_by.revision)
    found = next((item for item in earlier if item.applied <= row["started"]), None)
    policies = read_policy(found.text) if found is not None else None
    if found is None or policies is None:
        return None
    trace = trace_flow(policies, row)
    return found, tuple(_way(item, row) for item in (trace.egress, trace.ingress))
