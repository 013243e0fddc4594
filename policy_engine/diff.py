"""The exact difference between two policies over the workloads there are: what is opened, what is closed, for whom.

About policy, as if every workload were in `protect`; changes of mode stand beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policy_engine.atoms import End, ServiceAtom, all_rules, ends, service_atoms, services_text
from policy_engine.bitmap import NOBODY, Bitmap
from policy_engine.evaluate import FINAL
from policy_engine.modes import mode_in
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Direction, Mode, Outcome, RuleRef, parse_ref
from ringfence.model.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Connections from any of `sources` to any of `destinations` for any of `services`, with another verdict now.

    `families` are IP versions; `before` and `after` are the deciding rules as text; `sentence` says all of it.
    """

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    services: tuple[str, ...]
    families: tuple[int, ...]
    before: str
    after: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChange:
    """Workloads that enter another mode."""

    workloads: tuple[str, ...]
    before: Mode
    after: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiff:
    """Both lists are in order of sources, destinations and services."""

    opened: tuple[Change, ...]
    closed: tuple[Change, ...]
    modes: tuple[ModeChange, ...]

    @property
    def empty(self) -> bool:
        return not (self.opened or self.closed or self.modes)


Cell = tuple[int, int, str, str]
"""Class of the source, class of the destination, rule before, rule after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Class:
    """Ends that no rule of either policy tells apart. `masks` are what each policy can tell about them."""

    end: End
    members: tuple[End, ...]
    masks: tuple[_Masks, _Masks]
    ids: frozenset[str | None]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({item.endpoint.name for item in self.members}))


@dataclass(frozen=True, slots=True)
class _Masks:
    """The rules of an end's own policies and the rules that name it as the other end, per direction."""

    own_egress: int
    own_ingress: int
    other_egress: int
    other_ingress: int


@dataclass(frozen=True, slots=True)
class _Part:
    """Atoms (as bits) whose verdict changes from one rule's to another's."""

    opened: bool
    before: str
    after: str
    atoms: int


def diff(before: PolicySet, after: PolicySet, workloads: Sequence[Workload]) -> PolicyDiff:
    """Compare two policies over the current workloads, the addresses outside and every service."""
    rules = all_rules((before, after))
    atoms = service_atoms(rules)
    tables = (_Table(before, atoms), _Table(after, atoms))
    classes = _classes(ends(rules, workloads), tables)
    exists = {
        family: sum(1 << index for index, atom in enumerate(atoms) if atom.exists_in(family)) for family in (4, 6)
    }
    found: dict[bool, dict[Cell, int]] = {True: {}, False: {}}
    parts: dict[tuple[tuple[int, int], tuple[int, int]], tuple[_Part, ...]] = {}
    for i, source in enumerate(classes):
        for j, destination in enumerate(classes):
            if not _meet(source, destination):
                continue
            pairs = (_pair(source.masks[0], destination.masks[0]), _pair(source.masks[1], destination.masks[1]))
            if pairs not in parts:
                parts[pairs] = _compare(tables, pairs)
            for part in parts[pairs]:
                bits = part.atoms & exists[source.end.family]
                if bits:
                    found[part.opened][i, j, part.before, part.after] = bits
    return PolicyDiff(
        opened=_changes(found[True], classes, atoms, "may now"),
        closed=_changes(found[False], classes, atoms, "may no longer"),
        modes=_mode_changes(before, after, workloads),
    )


def _pair(source: _Masks, destination: _Masks) -> tuple[int, int]:
    """The rules that concern a pair: on egress, on ingress."""
    return source.own_egress & destination.other_egress, destination.own_ingress & source.other_ingress


def _meet(source: _Class, destination: _Class) -> bool:
    """Whether there is a pair that policy can judge: one family, a workload at an end, and not one and the same."""
    if source.end.family != destination.end.family:
        return False
    return len(source.ids | destination.ids) > 1


def _classes(all_ends: Sequence[End], tables: tuple[_Table, _Table]) -> list[_Class]:
    groups: dict[tuple[int, bool, tuple[_Masks, _Masks]], list[End]] = {}
    for end in all_ends:
        masks = (tables[0].masks(end), tables[1].masks(end))
        groups.setdefault((end.family, end.workload is None, masks), []).append(end)
    return [
        _Class(
            end=members[0],
            members=tuple(members),
            masks=key[2],
            ids=frozenset(item.workload for item in members),
        )
        for key, members in groups.items()
    ]


def _compare(tables: tuple[_Table, _Table], pairs: tuple[tuple[int, int], tuple[int, int]]) -> tuple[_Part, ...]:
    """The parts of the services whose verdict differs for a pair, by the rules that decided and decide."""
    old, new = tables[0].denied(*pairs[0]), tables[1].denied(*pairs[1])
    found: dict[tuple[bool, str, str], int] = {}
    for index in _bits(old ^ new):
        rules = tables[0].rule(*pairs[0], index), tables[1].rule(*pairs[1], index)
        key = (bool(old >> index & 1), str(rules[0]), str(rules[1]))
        found[key] = found.get(key, 0) | 1 << index
    return tuple(_Part(opened, before, after, bits) for (opened, before, after), bits in found.items())


class _Table:
    """Verdicts of one policy set over all atoms at once, per direction and set of rules that concern a pair."""

    def __init__(self, policies: PolicySet, atoms: Sequence[ServiceAtom]) -> None:
        self._bitmaps = {direction: Bitmap(policies, direction) for direction in Direction}
        self._services = {
            direction: [bitmap.service(atom.request) for atom in atoms] for direction, bitmap in self._bitmaps.items()
        }
        self._denied: dict[tuple[Direction, int], int] = {}

    def masks(self, end: End) -> _Masks:
        """Everything that the policy can tell about an end."""
        egress, ingress = self._bitmaps[Direction.EGRESS], self._bitmaps[Direction.INGRESS]
        return _Masks(
            own_egress=egress.subject(end.endpoint),
            own_ingress=ingress.subject(end.endpoint),
            other_egress=egress.peer(end.endpoint),
            other_ingress=ingress.peer(end.endpoint),
        )

    def denied(self, egress: int, ingress: int) -> int:
        """One bit per atom that either end denies."""
        return self._denied_by(Direction.EGRESS, egress) | self._denied_by(Direction.INGRESS, ingress)

    def rule(self, egress: int, ingress: int, index: int) -> RuleRef:
        """The rule that decides for one atom: that of the end that denies, egress first, else ingress."""
        leaving = self._decision(Direction.EGRESS, egress, index)
        return leaving[0] if leaving[1] is Outcome.DENIED else self._decision(Direction.INGRESS, ingress, index)[0]

    def _decision(self, direction: Direction, mask: int, index: int) -> tuple[RuleRef, Outcome]:
        bitmap = self._bitmaps[direction]
        found = bitmap.decide(mask, -1, self._services[direction][index])
        if found == NOBODY:
            return RuleRef(tier="", policy="", direction=direction, index=-1), Outcome.ALLOWED
        return bitmap.refs[found], FINAL[bitmap.actions[found]]

    def _denied_by(self, direction: Direction, mask: int) -> int:
        found = self._denied.get((direction, mask))
        if found is None:
            bitmap, found = self._bitmaps[direction], 0
            for index, service in enumerate(self._services[direction]):
                winner = bitmap.decide(mask, -1, service)
                if winner != NOBODY and FINAL[bitmap.actions[winner]] is Outcome.DENIED:
                    found |= 1 << index
            self._denied[direction, mask] = found
        return found


def _bits(mask: int) -> Iterable[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _changes(
    cells: dict[Cell, int], classes: Sequence[_Class], atoms: Sequence[ServiceAtom], verb: str
) -> tuple[Change, ...]:
    """Cells to rectangles: equal ones are joined along sources, then destinations, then address families."""
    by_destination: dict[tuple[int, str, str, int], set[str]] = {}
    for (source, destination, before, after), mask in cells.items():
        by_destination.setdefault((destination, before, after, mask), set()).update(classes[source].names)
    rectangles: dict[tuple[int, tuple[str, ...], str, str, int], set[str]] = {}
    for (destination, before, after, mask), names in by_destination.items():
        key = (classes[destination].end.family, tuple(sorted(names)), before, after, mask)
        rectangles.setdefault(key, set()).update(classes[destination].names)
    families: dict[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str, str], list[int]] = {}
    for (family, sources, before, after, mask), targets in sorted(rectangles.items(), key=lambda item: item[0][:2]):
        services = services_text([atoms[index] for index in _bits(mask)])
        families.setdefault((sources, tuple(sorted(targets)), services, before, after), []).append(family)
    both = len({item.end.family for item in classes if item.end.workload is not None}) > 1
    changes = []
    for (sources, destinations, services, before, after), found in sorted(families.items()):
        over = f" over IPv{found[0]}" if both and len(found) == 1 else ""
        sentence = (
            f"{', '.join(sources)} {verb} reach {', '.join(destinations)} on {', '.join(services)}{over}: "
            f"decided by {_words(after)}, formerly by {_words(before)}"
        )
        changes.append(
            Change(
                sources=sources,
                destinations=destinations,
                services=services,
                families=tuple(found),
                before=before,
                after=after,
                sentence=sentence,
            )
        )
    return tuple(changes)


def _words(rule: str) -> str:
    ref = parse_ref(rule)
    return rule if ref is None or ref.tier else "no policy"


def _mode_changes(before: PolicySet, after: PolicySet, workloads: Sequence[Workload]) -> tuple[ModeChange, ...]:
    changed: dict[tuple[Mode, Mode], set[str]] = {}
    for workload in workloads:
        former, latter = mode_in(before, workload), mode_in(after, workload)
        if workload.running and former and latter and former is not latter:
            changed.setdefault((former, latter), set()).add(workload.name)
    return tuple(
        ModeChange(workloads=tuple(sorted(names)), before=modes[0], after=modes[1])
        for modes, names in sorted(changed.items())
    )
