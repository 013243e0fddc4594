"""Linking: which legs are one connection.

A leg's outgoing tuple (after its namespace's translation) is the next leg's incoming tuple. So legs are edges between
wire tuples, and a connection is a connected component of them. Where a component holds more than one leg for a place
(the same addresses behind two engines, a port used again at once), it is taken apart leg by leg.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.legs import FLOW, Legs, Role, Rows, Table, gather

DENIED_PLACE = 3
_PLACES = {Role.SRC: "src", Role.DST: "dst", Role.HOST: "host", DENIED_PLACE: "denied"}


class Flows(Table):
    """The flows; each names its legs."""

    def __init__(self) -> None:
        super().__init__(FLOW)

    def open(self, count: int, tick: int) -> Rows:
        rows = self.allocate(count)
        for name in ("src", "dst", "host", "tail", "denied"):
            self.rows[name][rows] = -1
        self.rows["born"][rows] = tick
        return rows


def link(legs: Legs, flows: Flows, new: Rows, tick: int) -> Rows:
    """Give each new leg its flow, an open one or a new one; returns the flows that gained a leg."""
    if not len(new):
        return new
    component, found, found_component = _components(legs, new)
    place = places(gather(legs.rows, new))
    count = int(component.max()) + 1
    # What had ended before the first of these legs began is another connection between the same ports.
    begin = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(begin, component, legs.rows["start"][new])
    over = flows.rows["final"][found] & (flows.rows["ended"][found] < begin[found_component])
    found, found_component = found[~over], found_component[~over]
    crowded = np.zeros(count, bool)
    for number in map(int, _PLACES):
        crowded |= np.bincount(component[place == number], minlength=count) > 1
    # A component that meets flows of before is simple when it meets exactly one, open, with those places empty.
    met = np.bincount(found_component, minlength=count)
    crowded |= met > 1
    known = np.full(count, -1, np.int64)
    known[found_component] = found
    crowded[found_component[flows.rows["final"][found]]] = True
    target = known[component]
    for number, name in _PLACES.items():
        taken = (place == number) & (target >= 0) & (flows.rows[name][target] >= 0)
        crowded[component[taken]] = True
    crowded |= _several_pings(legs, flows, (new, component), (found, found_component), count)
    simple = ~crowded[component]
    fresh = np.unique(component[simple & (target < 0)])
    known[fresh] = flows.open(len(fresh), tick)
    _assign(legs, flows, new[simple], known[component[simple]])
    touched = [known[component[simple]]]
    for number in np.flatnonzero(crowded).tolist():
        members = new[component == number]
        touched.append(_take_apart(legs, flows, members, found[found_component == number], tick))
    return np.unique(np.concatenate(touched))


def _several_pings(
    legs: Legs, flows: Flows, new: tuple[Rows, Rows], found: tuple[Rows, Rows], count: int
) -> NDArray[np.bool_]:
    """Which components (n,) hold different ICMP numbers. `new`: legs, `found`: flows, each with their components."""
    numbers, component = [legs.rows["icmp_id"][new[0]]], [new[1]]
    for name in _PLACES.values():
        leg = flows.rows[name][found[0]]
        numbers.append(np.where(leg >= 0, legs.rows["icmp_id"][leg], 0))
        component.append(found[1])
    number, where = np.concatenate(numbers).astype(np.int64), np.concatenate(component)
    number, where = number[number > 0], where[number > 0]
    least, most = np.full(count, 1 << 16), np.zeros(count, np.int64)
    np.minimum.at(least, where, number)
    np.maximum.at(most, where, number)
    result: NDArray[np.bool_] = most > least
    return result


def places(rows: NDArray[Any]) -> NDArray[np.int64]:
    """The place in a flow that each leg takes: its role, or `DENIED_PLACE`."""
    return np.where(rows["kind"] > 0, DENIED_PLACE, rows["role"]).astype(np.int64)


def _components(legs: Legs, new: Rows) -> tuple[Rows, Rows, Rows]:
    """Component of each new leg, and the flows of before (flow rows, their component) that share a wire tuple."""
    rows = gather(legs.rows, new)
    hashes = np.concatenate([rows["hash_in"], rows["hash_out"]])
    words = np.concatenate([rows["wire_in"], rows["wire_out"]])
    unique, first, back = np.unique(hashes, return_index=True, return_inverse=True)
    # Equal hashes of unequal tuples must not meet: such a leg becomes a component of its own.
    odd = np.flatnonzero((words != words[first][back]).any(axis=1))
    back = back.astype(np.int64)
    back[odd] = len(unique) + np.arange(len(odd))
    asked, existing = legs.wires.every(unique)
    held = gather(legs.rows, existing)
    same = (held["wire_in"] == words[first][asked]).all(axis=1) | (held["wire_out"] == words[first][asked]).all(axis=1)
    usable = same & (held["flow"] >= 0)
    asked, joined = asked[usable], held["flow"][usable]
    flow_rows, flow_node = np.unique(joined, return_inverse=True)
    base = len(unique) + len(odd)
    left = np.concatenate([back[: len(new)], asked])
    right = np.concatenate([back[len(new) :], base + flow_node])
    labels = _spread(left, right, base + len(flow_rows))
    _, dense = np.unique(labels, return_inverse=True)
    component = dense[back[: len(new)]]
    # Dense numbers cover flow nodes too, and each of those is joined to a tuple of a new leg.
    return component.astype(np.int64), flow_rows, dense[base:].astype(np.int64)


def _spread(left: Rows, right: Rows, count: int) -> Rows:
    """Labels of the connected components of a graph; chains are as short as the namespaces on a path."""
    labels = np.arange(count)
    differ = left != right
    left, right = left[differ], right[differ]
    while True:
        least = np.minimum(labels[left], labels[right])
        before = labels.copy()
        np.minimum.at(labels, left, least)
        np.minimum.at(labels, right, least)
        if bool((labels == before).all()):
            return labels


def _assign(legs: Legs, flows: Flows, members: Rows, targets: Rows) -> None:
    rows = gather(legs.rows, members)
    place = places(rows)
    legs.rows["flow"][members] = targets
    for number, name in _PLACES.items():
        here = place == number
        flows.rows[name][targets[here]] = members[here]
        if number == Role.HOST:
            flows.rows["tail"][targets[here]] = members[here]
    known = targets[rows["known"]]
    flows.rows["known"][known] = True
    flows.rows["dirty"][targets[~flows.rows["final"][targets]]] = True


@dataclass(slots=True)
class _Group:
    """One connection being put together in the careful path; `row` is its flow, -1 while it has none."""

    row: int = -1
    final: bool = False
    ended: int = 0
    start: int = 0
    legs: list[int] = field(default_factory=list)
    new: list[int] = field(default_factory=list)


class _Careful:
    """Puts the legs of one component into groups, one after another."""

    def __init__(self, legs: Legs, flows: Flows) -> None:
        self._legs, self._flows = legs.rows, flows.rows

    def group_of(self, row: int) -> _Group:
        flow = self._flows[row]
        members = sorted({int(flow[name]) for name in ("src", "dst", "host", "tail", "denied")} - {-1})
        start = int(self._legs["start"][members].min())
        return _Group(int(row), bool(flow["final"]), int(flow["ended"]), start, members)

    def fits(self, group: _Group, leg: int) -> bool:
        """Whether the leg may belong to the group: it touches it, its place is free, and the times allow it."""
        mine = self._legs[leg]
        others = self._legs[group.legs]
        wires = {int(item) for name in ("hash_in", "hash_out") for item in others[name]}
        if not {int(mine["hash_in"]), int(mine["hash_out"])} & wires:
            return False
        if self._other_ping(group.legs, [leg]):
            return False
        if group.final and mine["start"] > group.ended:
            return False
        if mine["kind"]:
            return True
        rival = others[(others["kind"] == 0) & (others["role"] == mine["role"])]
        if mine["role"] == Role.HOST:
            rival = rival[rival["netns"] == mine["netns"]]
        return not bool((rival["alive"] | (rival["netns"] != mine["netns"]) | group.final).any())

    def _other_ping(self, left: list[int], right: list[int]) -> bool:
        """Whether the legs have ICMP numbers and none in common; a translation may have changed the number."""
        sides = [self._legs[left], self._legs[right]]
        numbers = [{int(item) for item in side["icmp_id"] if item} for side in sides]
        plain = bool((sides[0]["hash_in"] == sides[0]["hash_out"]).all())
        return plain and all(numbers) and not numbers[0] & numbers[1]

    def near(self, group: _Group, leg: int) -> bool:
        """Whether the group was seen on the leg's host, or nobody knows."""
        hosts = self._legs["host"][group.legs]
        return bool((hosts == self._legs["host"][leg]).any())

    def join(self, group: _Group, leg: int) -> None:
        group.legs.append(leg)
        group.new.append(leg)
        group.start = (
            min(group.start, int(self._legs["start"][leg])) if group.legs[:-1] else int(self._legs["start"][leg])
        )

    def complete(self, left: _Group, right: _Group) -> bool:
        """Whether two groups seen on different hosts can be the two ends of one connection."""
        roles = [
            {int(self._legs["role"][leg]) for leg in group.legs if not self._legs["kind"][leg]}
            for group in (left, right)
        ]
        ends = {int(Role.SRC), int(Role.DST)}
        wires = [
            {int(self._legs[name][leg]) for leg in group.legs for name in ("hash_in", "hash_out")}
            for group in (left, right)
        ]
        apart = not (roles[0] & roles[1] & ends) and not (left.final or right.final)
        apart = apart and not self._other_ping(left.legs, right.legs)
        return apart and bool(wires[0] & wires[1]) and (left.row < 0 or right.row < 0)


def _take_apart(legs: Legs, flows: Flows, members: Rows, found: Rows, tick: int) -> Rows:
    """The careful path for one component: same host first, nearest in time, then two ends on different hosts."""
    careful = _Careful(legs, flows)
    groups = [careful.group_of(int(row)) for row in found]
    rows = legs.rows
    # Translating legs first: they are what the others hang on.
    order = sorted(
        (int(leg) for leg in members),
        key=lambda leg: (rows["kind"][leg] > 0, rows["hash_in"][leg] == rows["hash_out"][leg], rows["start"][leg]),
    )
    for leg in order:
        fitting = [group for group in groups if careful.fits(group, leg) and careful.near(group, leg)]
        if not fitting:
            fitting = [_Group()]
            groups.append(fitting[0])
        careful.join(min(fitting, key=lambda group: abs(group.start - int(rows["start"][leg]))), leg)
    _unite(careful, groups)
    touched = []
    for group in groups:
        if not group.new:
            continue
        if group.row < 0:
            group.row = int(flows.open(1, tick)[0])
        touched.append(group.row)
        _write(legs, flows, group)
    return np.array(touched, np.int64)


def _unite(careful: _Careful, groups: list[_Group]) -> None:
    """Join groups of different hosts where each has exactly one counterpart."""
    partners = {
        id(group): [other for other in groups if other is not group and careful.complete(group, other)]
        for group in groups
    }
    for group in groups:
        match = partners[id(group)]
        if len(match) != 1 or not group.legs or not match[0].legs or len(partners[id(match[0])]) != 1:
            continue
        keep, give = (group, match[0]) if group.row >= 0 or match[0].row < 0 else (match[0], group)
        for leg in give.new:
            careful.join(keep, leg)
        give.legs, give.new = [], []


def _write(legs: Legs, flows: Flows, group: _Group) -> None:
    """Note the group's new legs in its flow: the latest leg takes a place, in-between legs are put in order."""
    rows, flow = legs.rows, flows.rows
    for leg in group.new:
        rows["flow"][leg] = group.row
        place = int(places(rows[leg : leg + 1])[0])
        if place != Role.HOST:
            flow[_PLACES[place]][group.row] = leg
        flow["known"][group.row] |= rows["known"][leg]
        flow["dirty"][group.row] |= not flow["final"][group.row]
    between = [leg for leg in group.legs if rows["kind"][leg] == 0 and rows["role"][leg] == Role.HOST]
    if between:
        inner = {int(rows["hash_out"][leg]) for leg in between if rows["hash_in"][leg] != rows["hash_out"][leg]}
        outer = {int(rows["hash_in"][leg]) for leg in between if rows["hash_in"][leg] != rows["hash_out"][leg]}
        flow["host"][group.row] = next((leg for leg in between if int(rows["hash_in"][leg]) not in inner), between[0])
        flow["tail"][group.row] = next((leg for leg in between if int(rows["hash_out"][leg]) not in outer), between[-1])
