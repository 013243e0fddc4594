"""Checks: what was seen in the kernel, as a person can read it. Pure."""

from __future__ import annotations

from itertools import pairwise

from enforcer.connections import Cut
from enforcer.names import IN, OUT, Family
from enforcer.observed import Observed
from enforcer.probe import ProbeResult
from enforcer.wire import Sealed
from ringfence.model.quarantine import Check
from ringfence.model.ruleset import QUARANTINE_RULE, parse_log_prefix

BASES = {"INPUT": IN, "OUTPUT": OUT}


def rules_check(observed: Observed) -> Check:
    """Both families were read back and hold what was planned; called only when they do."""
    parts = []
    for family in Family:
        if family in observed.unreadable:
            parts.append(f"{family.label} is not in use here and cannot be programmed")
        else:
            rules = sum(len(observed.rules(family, chain)) for fam, chain in observed.chains if fam is family)
            parts.append(f"{family.label}: {rules} rules as planned")
    return Check(name="rules read back", passed=True, detail="; ".join(parts))


def position_check(observed: Observed) -> Check:
    """Our jump is the first rule of INPUT and OUTPUT in each family that is in use."""
    wrong = [
        f"{family.label} {builtin}"
        for family in Family
        if family not in observed.unreadable
        for builtin, chain in BASES.items()
        if [rule.target for rule in observed.rules(family, builtin)][:1] != [chain]
    ]
    detail = f"not first: {', '.join(wrong)}" if wrong else "the first rule of INPUT and OUTPUT leads to ours"
    return Check(name="position", passed=not wrong, detail=detail)


def backend_check(observed: Observed) -> Check:
    """Says when a second iptables backend filters here; what ours denies stays denied."""
    return Check(name="backend", passed=True, detail=observed.mixed or "no other iptables backend filters here")


def enforcement_checks(observed: Observed) -> tuple[Check, ...]:
    """The proof of a ruleset in force."""
    return rules_check(observed), position_check(observed), backend_check(observed)


def seal_check(sealed: Sealed) -> Check:
    """Nobody inside can pass the rules with a packet socket."""
    detail = (
        f"{sealed.problem}; {sealed.detail}" if sealed.problem and sealed.detail else sealed.problem or sealed.detail
    )
    return Check(name="packet sockets", passed=not sealed.problem, detail=detail)


def cut_check(cut: Cut) -> Check:
    """No connection is tracked any more that leaves the namespace."""
    detail = f"{cut.connections} connections forgotten, {cut.sockets} sockets destroyed, {cut.left} left"
    return Check(
        name="connections cut",
        passed=cut.left == 0 and not cut.problem,
        detail=f"{detail}; {cut.problem}" if cut.problem else detail,
    )


def drops(observed: Observed) -> int:
    """Packets that quarantines dropped, both families: the counters of the drops right behind their log rules."""
    total = 0
    for family, chain in observed.chains:
        rules = observed.rules(family, chain)
        for before, rule in pairwise(rules):
            if rule.target == "DROP" and _logs_quarantine(before.text):
                total += rule.packets
    return total


def isolates(observed: Observed) -> bool:
    """Whether the rules of a quarantine stand there."""
    return any(_logs_quarantine(rule.text) for at in observed.chains for rule in observed.rules(*at))


def _logs_quarantine(text: str) -> bool:
    """Whether it is the log rule of a quarantine."""
    words = text.replace('"', "").split()
    logged = [parse_log_prefix(word) for word in words]
    return any(item is not None and item.number == QUARANTINE_RULE for item in logged)


def probe_checks(probe: ProbeResult, before: Observed, after: Observed) -> tuple[Check, Check]:
    """The probe reached nothing, and the quarantine's own counters say that it was what stopped it."""
    if not probe.sent:
        out = ", ".join(probe.interfaces)
        nowhere = f"no address to try through {out}" if out else "no interface leads out of the namespace"
        return (
            Check(name="probe from inside", passed=not out, detail=nowhere),
            Check(name="drop counters", passed=not out, detail=nowhere),
        )
    rose = drops(after) - drops(before)
    reached = ", ".join(probe.passed)
    return (
        Check(
            name="probe from inside",
            passed=not probe.passed,
            detail=f"got through: {reached}" if reached else f"{probe.sent} tries to {', '.join(probe.targets)} failed",
        ),
        Check(name="drop counters", passed=rose >= probe.sent, detail=f"{rose} packets dropped for {probe.sent} tries"),
    )
