"""What was connected before the first rules in `protect` stood: ended once, so that no answer passes for a judged one.

Nothing was tracked until then: the first packet to come by would count as the opening of its connection, and whatever
follows as an answer, against the policy.
"""

from __future__ import annotations

from collections.abc import Iterator

from enforcer.desired import Desired
from enforcer.kernel import Kernel
from enforcer.names import IN
from enforcer.owners import Occupied
from enforcer.place import Place
from enforcer.scope import Scope
from ringfence.errors import EnforcementFailed
from ringfence.model.ruleset import Ruleset
from ringfence.model.verdict import Mode
from ringfence.model.workload import Workload


def cut_unjudged(kernel: Kernel, desired: Desired, occupied: Occupied, place: Place) -> str:
    """End what the chains that stand here for the first time have not judged; returns what could not be ended."""
    problems = []
    for member, chain, scope, ruleset in _judged(desired, occupied):
        if chain not in place.unjudged:
            continue
        if ruleset is not None and ruleset.mode is Mode.PROTECT and desired.quarantine(member.id) is None:
            try:
                problem = kernel.cut(occupied.netns, scope).problem
            except EnforcementFailed as error:
                problem = str(error)
            if problem:
                problems.append(f"connections older than the rules could not be ended: {problem}")
                continue
        place.unjudged.discard(chain)
    return "; ".join(problems)


def _judged(desired: Desired, occupied: Occupied) -> Iterator[tuple[Workload, str, Scope | None, Ruleset | None]]:
    """Whom which chain judges, and the part of the namespace that is theirs; nobody whose cgroup is gone."""
    if not occupied.host:
        yield occupied.owner, IN, None, desired.ruleset(occupied)
        return
    for member in occupied.slotted:
        slot, scope = desired.slot_of(member), desired.scope_of(member)
        if slot is not None and scope is not None:
            yield member, slot.chain("I"), scope, slot.ruleset
