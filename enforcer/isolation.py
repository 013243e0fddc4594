"""A quarantine whose rules stand: cut what is connected, try to get out, and put the proof together."""

from __future__ import annotations

from dataclasses import replace

from enforcer.kernel import Kernel
from enforcer.netns import Netns
from enforcer.observed import Observed
from enforcer.proof import cut_check, position_check, probe_checks, rules_check
from enforcer.scope import Scope
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


def refused(quarantine: Quarantine, name: str, why: str, clock: Clock) -> Quarantine:
    """The quarantine could not be put in force."""
    check = Check(name=name, passed=False, detail=why)
    return replace(quarantine, state=QuarantineState.FAILED, proof=Proof(at=clock(), checks=(check,)))
