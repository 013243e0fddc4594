"""Why a connection was, or would be, allowed or denied: one sentence per verdict, the same wherever it is shown."""

from __future__ import annotations

from ringfence.model.verdict import QUARANTINE_TIER, UNENFORCED_TIER, Direction, Outcome, RuleRef


def explain(
    *, source: str, destination: str, request: str, outcome: Outcome, rule: RuleRef | None, selected: bool = False
) -> str:
    """The sentence. `rule` None: nobody knows which rule decided.

    `selected` says, for the product's default, that policies select the workload but all of them passed.
    """
    may = "may not" if outcome is Outcome.DENIED else "may"
    return f"{source} {may} reach {destination} on {request}: {_because(source, destination, outcome, rule, selected)}"


def _because(source: str, destination: str, outcome: Outcome, rule: RuleRef | None, selected: bool) -> str:
    if rule is None:
        return f"{outcome}, by which rule is not known"
    owner = destination if rule.direction is Direction.INGRESS else source
    if rule.index >= 0:
        return f"{outcome} by {rule.direction} rule {rule.index + 1} of policy {rule.policy} (tier {rule.tier})"
    reserved = {
        UNENFORCED_TIER: f", since {owner} is not in protect mode",
        QUARANTINE_TIER: f", since {owner} is in quarantine",
        "": f", no policy selects {owner} for {rule.direction}",
    }
    if selected and not rule.tier:
        return f"{outcome}, every policy that selects {owner} for {rule.direction} passes"
    named = f" by the default of tier {rule.tier}, which selects {owner} for {rule.direction}"
    return f"{outcome}{reserved.get(rule.tier, named)}"
