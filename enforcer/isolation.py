"""A quarantine whose rules stand: cut what is connected, try to get out, and put the proof together."""

from __future__ import annotations

from dataclasses import replace

from enforcer.kernel import Kernel
from enforcer.netns import Netns
from enforcer.observed import Observed
from enforcer.proof import cut_check, position_check, probe_checks, rules_check, seal_check
from enforcer.scope import Scope
from enforcer.wire import Sealed
from ringfence.clock import Clock
from ringfence.errors import EnforcementFailed
from ringfence.model.quarantine import Check, Proof, Quarantine, QuarantineState


def isolate(
    quarantine: Quarantine,
    observed: Observed,
    *,
    kernel: Kernel,
    netns: Netns,
    scope: Scope | None,
    clock: Clock,
    extra: tuple[Check, ...] = (),
) -> Quarantine:
    """The quarantine with its state, proof and number of connections cut.

    `observed` is the namespace with the rules in force, before the probe; `extra` are checks made before. `verified`
    needs every check; a step that could not be done makes it `partial`, with the reason in the proof.
    """
    checks = [rules_check(observed), position_check(observed), *extra]
    if scope is not None:
        checks += [_sends_no_frames(kernel, scope), _receives_nothing(quarantine, kernel, scope)]
    connections: int | None = None
    try:
        cut = kernel.cut(netns, scope, quarantine.access)
        connections = cut.connections
        checks.append(cut_check(cut))
    except EnforcementFailed as error:
        checks.append(Check(name="connections cut", passed=False, detail=str(error)))
    try:
        probe = kernel.probe(netns, scope, quarantine.access)
        checks += probe_checks(probe, observed, kernel.read(netns))
    except EnforcementFailed as error:
        checks.append(Check(name="probe from inside", passed=False, detail=str(error)))
    proof = Proof(at=clock(), checks=tuple(checks))
    state = QuarantineState.VERIFIED if proof.holds else QuarantineState.PARTIAL
    cut_before = quarantine.connections_cut or 0
    total = None if connections is None else cut_before + connections
    return replace(quarantine, state=state, proof=proof, connections_cut=total)


def _sends_no_frames(kernel: Kernel, scope: Scope) -> Check:
    """The host's own interfaces cannot be closed for one of those who use them."""
    said = kernel.senders(scope.folder)
    sealed = Sealed(
        detail=said or "nobody in its cgroup holds CAP_NET_RAW",
        problem="a packet socket sends past the rules of the host" if said else "",
    )
    return seal_check(sealed)


def _receives_nothing(quarantine: Quarantine, kernel: Kernel, scope: Scope) -> Check:
    """In the host's namespace a datagram reaches a socket that is not connected past the rules, so the cgroup drops."""
    name = "datagrams from outside"
    if quarantine.access:
        why = "a controlled access needs its sockets to receive, and so datagrams reach those that are not connected"
        return Check(name=name, passed=False, detail=f"{why}; pause or stop it instead")
    try:
        kernel.receive(scope.folder, allowed=False)
    except EnforcementFailed as error:
        return Check(name=name, passed=False, detail=f"they reach sockets that are not connected: {error}")
    return Check(name=name, passed=True, detail="the sockets of its cgroup receive nothing at all")


def refused(quarantine: Quarantine, name: str, why: str, clock: Clock) -> Quarantine:
    """The quarantine could not be put in force."""
    check = Check(name=name, passed=False, detail=why)
    return replace(quarantine, state=QuarantineState.FAILED, proof=Proof(at=clock(), checks=(check,)))
