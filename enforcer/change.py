"""From what is there to what should be there: the difference in words, and the restore input that closes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from enforcer.names import TEMPORARY, Family, checked, is_our_chain, short_hash
from enforcer.observed import BUILTIN, Observed, ObservedRule
from enforcer.plan import KernelSet, Plan, Table, comment_of, rule_text

Texts = Mapping[tuple[Family, str], tuple[str, ...]]
"""The exact text of each chain as the kernel gave it back after our own write."""

DEFAULT_ELEMENTS = 65536
"""ipset's default room in a set (ipset(8)); larger sets ask for head-room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to send, in this order: `sets_before`, each table, `elsewhere`, `sets_after`. Empty texts are not sent.

    `elsewhere` removes what is ours from the other iptables backend.

    `undo` puts a table back as it was, for when a later family fails. `differences` says what was not as it should be.
    """

    differences: tuple[str, ...] = ()
    sets_before: str = ""
    tables: Mapping[Family, str] = field(default_factory=dict)
    undo: Mapping[Family, str] = field(default_factory=dict)
    elsewhere: Mapping[Family, str] = field(default_factory=dict)
    sets_after: str = ""

    @property
    def empty(self) -> bool:
        return not (self.sets_before or self.tables or self.elsewhere or self.sets_after)


def plan_change(plan: Plan, observed: Observed, written: Texts) -> Change:
    """Compare by the hashes in the comments, and by the exact text where `written` remembers it.

    Raises:
        EnforcementFailed: a rule cannot be expressed.
    """
    differences: list[str] = []
    tables, undo = {}, {}
    for family in Family:
        if family in observed.unreadable and not plan.empty and not observed.ipv6_active and family is Family.IPV6:
            continue
        text, back = _table_change(family, plan.tables[family], observed, written, differences)
        if text:
            tables[family], undo[family] = text, back
    before, after = _set_changes(plan.sets, observed, differences)
    other = replace(observed, tables=observed.elsewhere)
    elsewhere = {family: _table_change(family, Table(), other, {}, differences)[0] for family in observed.elsewhere}
    return Change(
        differences=tuple(differences),
        sets_before=before,
        tables=tables,
        undo=undo,
        elsewhere=elsewhere,
        sets_after=after,
    )


def chain_holds(family: Family, chain: str, table: Table, observed: Observed, written: Texts) -> bool:
    """Whether the chain in the kernel is the planned one, rule for rule."""
    there = observed.tables.get(family, {}).get(chain)
    if there is None:
        return False
    if [rule.comment for rule in there] != [comment_of(chain, tokens) for tokens in table.chains[chain]]:
        return False
    remembered = written.get((family, chain))
    return remembered is None or remembered == tuple(rule.text for rule in there)


def texts_of(observed: Observed) -> Texts:
    """The text of our chains, to be remembered after a write."""
    return {
        (family, chain): tuple(rule.text for rule in observed.rules(family, chain)) for family, chain in observed.chains
    }


def jump_text(builtin: str, chain: str) -> str:
    """The jump from a built-in chain, as restore input after the chain's name."""
    return checked(("-m", "comment", "--comment", f"rf:{short_hash(builtin, chain)}", "-j", chain))


def _table_change(
    family: Family, table: Table, observed: Observed, written: Texts, differences: list[str]
) -> tuple[str, str]:
    """The restore input for one family and the one that undoes it."""
    there = observed.tables.get(family, {})
    declare, fill, jumps, remove = [], [], [], []
    undo_declare, undo_fill, undo_jumps, undo_remove = [], [], [], []
    for chain, rules in table.chains.items():
        if chain_holds(family, chain, table, observed, written):
            continue
        differences.append(f"{family.label} {chain}: {_describe(there.get(chain), chain, table)}")
        declare.append(f":{chain} - [0:0]")
        fill += [f"-A {chain} {rule_text(chain, tokens)}" for tokens in rules]
        undo_declare.append(f":{chain} - [0:0]")
        if chain in there:
            undo_fill += [f"-A {chain} {rule.text}" for rule in there[chain]]
        else:
            undo_remove.append(f"-X {chain}")
    for chain in sorted(name for name in there if is_our_chain(name) and name not in table.chains):
        differences.append(f"{family.label} {chain}: not wanted any more")
        declare.append(f":{chain} - [0:0]")
        remove.append(f"-X {chain}")
        undo_declare.append(f":{chain} - [0:0]")
        undo_fill += [f"-A {chain} {rule.text}" for rule in there[chain]]
    for builtin in BUILTIN:
        forward, back, said = _jump_change(builtin, table.jumps.get(builtin), there.get(builtin, ()))
        jumps += forward
        undo_jumps += back
        differences += [f"{family.label} {builtin}: {said}"] if said else []
    if not (declare or jumps):
        return "", ""
    return (
        _restore_input(declare, fill, jumps, remove),
        _restore_input(undo_declare, undo_fill, undo_jumps, undo_remove),
    )


def _restore_input(*parts: Sequence[str]) -> str:
    return "\n".join(["*filter", *(line for part in parts for line in part), "COMMIT", ""])


def _describe(there: Sequence[ObservedRule] | None, chain: str, table: Table) -> str:
    if there is None:
        return "missing"
    wanted = {comment_of(chain, tokens) for tokens in table.chains[chain]}
    found = {rule.comment for rule in there}
    missing, foreign = len(wanted - found), sum(rule.comment not in wanted for rule in there)
    if missing or foreign:
        return f"{missing} of {len(wanted)} rules missing, {foreign} not ours"
    return "rules changed or in another order"


def _jump_change(builtin: str, chain: str | None, there: Sequence[ObservedRule]) -> tuple[list[str], list[str], str]:
    """Our jump stands first and once: the lines that make it so, those that undo it, and what was wrong."""
    wanted = jump_text(builtin, chain) if chain is not None else ""
    ours = [(number, rule) for number, rule in enumerate(there, start=1) if is_our_chain(rule.target)]
    comment = f"rf:{short_hash(builtin, chain)}"
    right = [number for number, rule in ours if rule.target == chain and rule.comment == comment and _bare(rule)]
    if (right == [1] and len(ours) == 1) or not (wanted or ours):
        return [], [], ""
    forward = [f"-D {builtin} {rule.text}" for _, rule in ours]
    back = [f"-I {builtin} {number} {rule.text}" for number, rule in ours]
    if wanted:
        forward.append(f"-I {builtin} 1 {wanted}")
        back.insert(0, f"-D {builtin} {wanted}")
        said = "the jump is missing" if not ours else "the jump is not first" if right else "the jump was changed"
        return forward, back, said
    return forward, back, "the jump is not wanted any more"


def _bare(rule: ObservedRule) -> bool:
    """The jump has no condition: nothing but its comment and target."""
    words = rule.text.replace('"', "").split()
    return words == ["-m", "comment", "--comment", rule.comment, "-j", rule.target]


def _set_changes(wanted: Mapping[str, KernelSet], observed: Observed, differences: list[str]) -> tuple[str, str]:
    """ipset input before the rules (fill, swap) and after them (destroy)."""
    stale = [name for name in sorted(observed.sets) if name not in wanted]
    before = [f"destroy {name}" for name in stale if name[:-1] in wanted and name.endswith(TEMPORARY)]
    swaps: list[str] = []
    for name, item in sorted(wanted.items()):
        there = observed.sets.get(name)
        if there is not None and there.members == item.members and there.kind == "hash:net":
            continue
        differences.append(f"set {name}: {'missing' if there is None else _members_changed(item, there.members)}")
        target = name if there is None else name + TEMPORARY
        before += _fill(target, item)
        if there is not None:
            swaps += [f"swap {target} {name}", f"destroy {target}"]
    after = [f"destroy {name}" for name in stale if f"destroy {name}" not in before]
    differences += [f"set {line.removeprefix('destroy ')}: not wanted any more" for line in after]
    return _lines([*before, *swaps]), _lines(after)


def _members_changed(item: KernelSet, there: frozenset[object]) -> str:
    return f"{len(item.members - there)} members missing, {len(there - item.members)} too many"


def _fill(name: str, item: KernelSet) -> list[str]:
    room = max(DEFAULT_ELEMENTS, 2 * len(item.members))
    create = f"create {name} hash:net family {item.family.value} maxelem {room}"
    return [create, *(f"add {name} {member}" for member in sorted(map(str, item.members)))]


def _lines(lines: Sequence[str]) -> str:
    return "\n".join([*lines, ""]) if lines else ""
