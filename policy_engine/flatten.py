"""Tiers to one list in which the first match decides.

A `pass` rule skips the rest of its tier for what it matches. Without jumps this is said exactly by repeating the later
tiers at its place, each rule narrowed to what the pass rule matches, so a list needs neither jumps nor negation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policy_engine.addresses import Addresses, intersection, union
from policy_engine.services import merged
from ringfence.errors import RingfenceError
from ringfence.model.policy import Action, PortInterval, Service
from ringfence.model.verdict import RuleRef

MAX_LINES = 50_000
ANY_SERVICE = Service()


class RulesetTooLarge(RingfenceError):
    """One workload's list would exceed `MAX_LINES`."""


@dataclass(frozen=True, slots=True)
class Match:
    """Addresses in `include` (None: any) but not in `exclude`, asking for `service`."""

    include: Addresses | None = None
    exclude: Addresses | None = None
    service: Service = ANY_SERVICE

    @property
    def everything(self) -> bool:
        return self.include is None and self.exclude is None and self.service == ANY_SERVICE


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a list; several lines may come of one rule."""

    match: Match
    ref: RuleRef
    action: Action


@dataclass(frozen=True, slots=True)
class FlatTier:
    """The lines of the policies that select one workload, and what happens after them."""

    lines: tuple[Line, ...]
    default: Line


def flatten(tiers: Sequence[FlatTier], end: Line) -> list[Line]:
    """One list without `pass`; `end` is what happens after the last tier.

    Raises:
        RulesetTooLarge: the pass rules multiply beyond reason.
    """
    lines: list[Line] = []
    _emit(tiers, end, Match(), lines)
    return lines


def _emit(tiers: Sequence[FlatTier], end: Line, context: Match, lines: list[Line]) -> None:
    """Append what decides for `context`, all of it: the last line appended matches all that is left of it."""
    if not tiers:
        lines.append(Line(context, end.ref, end.action))
        return
    for line in (*tiers[0].lines, tiers[0].default):
        narrowed = intersect(context, line.match)
        if narrowed is None:
            continue
        if len(lines) >= MAX_LINES:
            raise RulesetTooLarge(f"more than {MAX_LINES} rules for one workload", hint="use fewer pass rules")
        if line.action is Action.PASS:
            _emit(tiers[1:], end, narrowed, lines)
        else:
            lines.append(Line(narrowed, line.ref, line.action))
        if line.match.everything:
            return


def intersect(one: Match, other: Match) -> Match | None:
    """What both match; None when their services have nothing in common. An empty address set may fill up later."""
    service = intersect_services(one.service, other.service)
    if service is None:
        return None
    return Match(
        include=_both(one.include, other.include),
        exclude=_either(one.exclude, other.exclude),
        service=service,
    )


def intersect_services(one: Service, other: Service) -> Service | None:
    """The services that both contain, None when there are none."""
    if (
        _clash(one.protocol, other.protocol)
        or _clash(one.icmp_type, other.icmp_type)
        or _clash(one.icmp_code, other.icmp_code)
    ):
        return None
    ports = one.ports or other.ports
    if one.ports and other.ports:
        ports = _common_ports(one.ports, other.ports)
        if not ports:
            return None
    return Service(
        protocol=_given(one.protocol, other.protocol),
        ports=ports,
        icmp_type=_given(one.icmp_type, other.icmp_type),
        icmp_code=_given(one.icmp_code, other.icmp_code),
    )


def _clash(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and one != other


def _given(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _common_ports(one: tuple[PortInterval, ...], other: tuple[PortInterval, ...]) -> tuple[PortInterval, ...]:
    return merged(
        [
            PortInterval(first=max(a.first, b.first), last=min(a.last, b.last))
            for a in one
            for b in other
            if max(a.first, b.first) <= min(a.last, b.last)
        ]
    )


def _both(one: Addresses | None, other: Addresses | None) -> Addresses | None:
    if one is None or other is None or one.key == other.key:
        return other if one is None else one
    return intersection(one, other)


def _either(one: Addresses | None, other: Addresses | None) -> Addresses | None:
    if one is None or other is None or one.key == other.key:
        return other if one is None else one
    return union(one, other)
