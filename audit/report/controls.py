"""Controls of PCI DSS, NIST SP 800-53 and CIS Docker, judged by what was recorded. Ids are theirs, the words are ours.

A control passes only on evidence: where a gap, a filter or a missing figure stands in the way it is `not decided`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from audit.report.evidence import Evidence, connections, counted, example, names
from audit.report.posture import Posture
from ringfence.model.quarantine import QuarantineState
from ringfence.model.verdict import Direction
from ringfence.model.workload import NetworkKind

PCI, NIST, CIS = "PCI DSS v4.0.1", "NIST SP 800-53 Rev. 5", "CIS Docker Benchmark v1.6"


class Result(StrEnum):
    PASS = "pass"  # noqa: S105 -- a result, no secret
    FAIL = "fail"
    UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How one control came out, and why."""

    result: Result
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One line of the report; `decide` looks at the evidence only."""

    framework: str
    id: str
    title: str
    decide: Callable[[Evidence], Finding]


def _pass(reason: str) -> Finding:
    return Finding(result=Result.PASS, reason=reason)


def _fail(reason: str) -> Finding:
    return Finding(result=Result.FAIL, reason=reason)


def _open(reason: str) -> Finding:
    return Finding(result=Result.UNDECIDED, reason=reason)


def _over_whole_picture(evidence: Evidence, finding: Finding) -> Finding:
    """The absence of something is claimed only where nothing is known to be missing."""
    if finding.result is not Result.PASS:
        return finding
    if not evidence.scope:
        return _open("no workload in scope was known in this window")
    if not evidence.completeness.whole:
        return _open(f"nothing speaks against it, but {'; '.join(evidence.completeness.limits)}")
    return finding


def _unless_incomplete(evidence: Evidence, finding: Finding) -> Finding:
    """The absence of connections is claimed only over a whole picture that shows some."""
    finding = _over_whole_picture(evidence, finding)
    if finding.result is Result.PASS and not evidence.edges:
        return _open("no connection was recorded in this window, so nothing was observed")
    return finding


def _of_scope(items: Sequence[Posture], fail: str, passed: str, evidence: Evidence) -> Finding:
    if items:
        return _fail(f"{fail}: {names(items)}")
    return _over_whole_picture(evidence, _pass(passed))


def no_violation(evidence: Evidence) -> Finding:
    """Nothing went through that policy denies."""
    rows = evidence.violations
    if rows:
        return _fail(
            f"{counted(connections(rows), 'connection')} went through that the policy denies, such as {example(rows)}"
        )
    return _unless_incomplete(
        evidence, _pass("no connection was recorded that the policy denies and the kernel let by")
    )


def justified_services(evidence: Evidence) -> Finding:
    """Every connection that went through was named by a rule."""
    rows = evidence.unjustified
    if rows:
        return _fail(
            f"{counted(connections(rows), 'connection')} went through without a rule for it, such as {example(rows)}"
        )
    return _unless_incomplete(evidence, _pass("every recorded connection that went through was allowed by a rule"))


def insecure_services(evidence: Evidence) -> Finding:
    rows = evidence.insecure
    if rows:
        count = counted(connections(rows), "connection")
        return _open(
            f"{count} used services that send in the clear, such as {example(rows)}; whether their risk is mitigated "
            "is for a person to say"
        )
    return _unless_incomplete(evidence, _pass("no well-known clear-text service was used, by port"))


def limited(direction: Direction) -> Callable[[Evidence], Finding]:
    """Default deny in one direction on everything in scope, in force."""

    def decide(evidence: Evidence) -> Finding:
        word = "inbound" if direction is Direction.INGRESS else "outbound"
        if found := evidence.open_in(direction):
            return _fail(
                f"no policy limits what is {word} of {counted(len(found), 'workload')} in scope: {names(found)}"
            )
        if found := evidence.not_in_protect:
            return _fail(
                f"limits exist, but are not enforced for {counted(len(found), 'workload')} in scope: {names(found)}"
            )
        if found := evidence.not_proven:
            return _open(f"limits exist, but there is no fresh proof that they hold for {names(found)}")
        passed = f"{word} connections of all {len(evidence.scope)} workloads in scope are denied unless a rule allows"
        return _pass(passed) if evidence.scope else _open("no workload in scope was known in this window")

    return decide


def deny_by_default(evidence: Evidence) -> Finding:
    inward, outward = limited(Direction.INGRESS)(evidence), limited(Direction.EGRESS)(evidence)
    worst = next((item for item in (inward, outward) if item.result is Result.FAIL), None)
    undecided = next((item for item in (inward, outward) if item.result is Result.UNDECIDED), None)
    return worst or undecided or _pass("both directions of every workload in scope are denied unless a rule allows")


def boundary(evidence: Evidence) -> Finding:
    """Limits exist, hold, and nothing was seen that got past them."""
    default = deny_by_default(evidence)
    return default if default.result is not Result.PASS else no_violation(evidence)


def segmentation_tested(evidence: Evidence) -> Finding:
    found = boundary(evidence)
    if found.result is Result.FAIL:
        return found
    denied = counted(connections(evidence.denied), "denied attempt")
    return _open(
        f"policy, enforcement and {denied} are listed here as evidence; a penetration test of the segmentation is not "
        "something that a record of traffic can replace"
    )


def ruleset_kept(evidence: Evidence) -> Finding:
    if not evidence.revision.revision:
        return _fail("no policy was ever applied")
    missing = [item.revision for item in evidence.history if not item.reason.strip() or not item.author.strip()]
    if missing:
        return _fail(f"revisions without author or reason: {', '.join(map(str, missing[:10]))}")
    count = counted(len(evidence.history), "change")
    return _pass(f"revision {evidence.revision.revision} is in force; author and reason are recorded for {count}")


def changes_approved(evidence: Evidence) -> Finding:
    return _open("author and reason of each change are recorded; an approval by a second person is not recorded")


def reviewed(evidence: Evidence) -> Finding:
    if not evidence.revision.revision:
        return _fail("no policy was ever applied, so there is nothing to review")
    days = (evidence.end - evidence.revision.applied).days
    return _open(f"the policy in force was applied {days} days before the end of the window; reviews are not recorded")


def inventory(evidence: Evidence) -> Finding:
    if not evidence.completeness.whole:
        return _open(f"the connections are listed in this report, but {'; '.join(evidence.completeness.limits)}")
    return _open(
        "the connections are listed in this report; that they match the approved diagram is for a person to say"
    )


def consistent(evidence: Evidence) -> Finding:
    """What runs is what was written."""
    if found := evidence.enforcement_failed:
        return _fail(f"the kernel does not hold what the policy says for {names(found)}")
    if evidence.not_proven:
        return _open(f"there is no fresh proof of what the kernel holds for {names(evidence.not_proven)}")
    enforced = [item for item in evidence.scope if item.proven]
    if not enforced:
        return _open("no enforcer has reported on a workload in scope")
    found_log = evidence.completeness.verification
    if found_log is None or not found_log.ok:
        return _open("the kernel was seen to hold the policy, but the audit log that counts repairs is not intact here")
    repairs = (
        f"drift was found and put back {counted(evidence.drifts, 'time')}" if evidence.drifts else "no drift recorded"
    )
    return _pass(
        f"the rules of {counted(len(enforced), 'workload')} were read back from the kernel and match; {repairs}"
    )


def isolation(evidence: Evidence) -> Finding:
    """Quarantine works, where it was used."""
    failed = [
        item
        for item in evidence.quarantines
        if item.state in (QuarantineState.FAILED, QuarantineState.PARTIAL)
        or (item.proof is not None and not item.proof.holds)
    ]
    if failed:
        return _fail(f"a quarantine did not hold: {', '.join(item.workload_name for item in failed[:5])}")
    proven = [item for item in evidence.quarantines if item.proof is not None and item.proof.holds]
    if not proven:
        return _open("no quarantine with a proof falls in this window")
    return _pass(f"{counted(len(proven), 'quarantine')} in this window, proven to hold")


def no_net_admin(evidence: Evidence) -> Finding:
    if found := evidence.holding_net_admin():
        return _fail(f"containers may change their own network: {names(found)}")
    return _open("no container was seen with rights over its network; its other capabilities are not recorded")


def needed_ports(evidence: Evidence) -> Finding:
    return _open("ports with traffic are listed under who did; which ports are open without traffic is not recorded")


def not_on_host_network(evidence: Evidence) -> Finding:
    found = evidence.attached_to(NetworkKind.HOST)
    return _of_scope(found, "containers share the host's network", "no container shares the host's network", evidence)


def not_on_default_bridge(evidence: Evidence) -> Finding:
    found = evidence.attached_to(NetworkKind.BRIDGE, "bridge")
    return _of_scope(found, "containers use Docker's default bridge", "no container uses the default bridge", evidence)


def _control(framework: str, number: str, title: str, decide: Callable[[Evidence], Finding]) -> Control:
    return Control(framework=framework, id=number, title=title, decide=decide)


CONTROLS: tuple[Control, ...] = (
    _control(PCI, "1.2.1", "Rules for traffic are written down and kept", ruleset_kept),
    _control(PCI, "1.2.2", "Changes to them are approved", changes_approved),
    _control(PCI, "1.2.3", "Connections of the protected environment are drawn and current", inventory),
    _control(PCI, "1.2.5", "Every service in use has been identified and allowed", justified_services),
    _control(PCI, "1.2.6", "Services known to be insecure are mitigated", insecure_services),
    _control(PCI, "1.2.7", "The rules are looked through every six months", reviewed),
    _control(PCI, "1.2.8", "What runs is what was configured", consistent),
    _control(PCI, "1.3.1", "What may come in is limited to what is needed", limited(Direction.INGRESS)),
    _control(PCI, "1.3.2", "What may go out is limited to what is needed", limited(Direction.EGRESS)),
    _control(PCI, "11.4.5", "The segmentation is tested", segmentation_tested),
    _control(NIST, "AC-4", "Information flows only as policy allows", no_violation),
    _control(NIST, "SC-7", "Boundaries are watched and controlled", boundary),
    _control(NIST, "SC-7(5)", "Deny by default, allow by exception", deny_by_default),
    _control(NIST, "SC-7(20)", "Parts can be isolated while running", isolation),
    _control(CIS, "5.4", "Containers hold no more rights over the kernel than they need", no_net_admin),
    _control(CIS, "5.9", "Only needed ports are open", needed_ports),
    _control(CIS, "5.10", "Containers do not share the host's network", not_on_host_network),
    _control(CIS, "5.30", "Docker's default bridge is not used", not_on_default_bridge),
)
