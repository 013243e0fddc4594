"""Who could reach whom: the policy evaluated for every pair of zones and every service that its rules tell apart.

Nothing is sampled: services are the atoms of the policy, the outside is one address for each stretch of addresses that
the rules tell apart, and every address of every workload counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from audit.report.posture import Posture
from audit.report.zones import OUTSIDE, Zones
from policy_engine.atoms import ServiceAtom, all_rules, ends, service_atoms, services_text
from policy_engine.bitmap import NOBODY, Bitmap
from policy_engine.endpoint import Endpoint
from policy_engine.evaluate import FINAL
from policy_engine.places import with_host_addresses
from policy_engine.services import ICMP_PROTOCOLS
from ringfence.model.policy import PolicySet
from ringfence.model.verdict import Direction, Outcome
from ringfence.model.workload import Address, Workload

MOST_EVALUATIONS = 10_000_000
"""Pairs of ends times services; some three seconds of one core."""
EVERYTHING, EVERYTHING_ELSE = "everything", "everything else"
NOT_CLOSED = ("allowed", "would be denied", "mixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What policy says of one service between two zones: `denied` of `pairs` kinds of ends, `enforced` of these denied
    in the kernel because the denying end is in protect and its rules were seen there."""

    atom: ServiceAtom
    pairs: int
    denied: int
    enforced: int

    @property
    def verdict(self) -> str:
        """`allowed`, `denied` (and enforced), `would be denied` (policy says so, the kernel does not) or `mixed`."""
        if self.denied == 0:
            return "allowed"
        if self.denied < self.pairs:
            return "mixed"
        return "denied" if self.enforced == self.pairs else "would be denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One ordered pair of zones; `cells` are every service there is between them."""

    source: str
    destination: str
    cells: tuple[Cell, ...]

    def services(self, *verdicts: str, most: int | None = None) -> str:
        """The services with one of these verdicts: `tcp/5432, udp/53`; `everything`; or `everything else`, where they
        include all that no rule names. Empty where there are none; beyond `most` of them only how many."""
        chosen = [cell.atom for cell in self.cells if cell.verdict in verdicts]
        if len(chosen) == len(self.cells):
            return EVERYTHING
        if any(_unnamed(atom) for atom in chosen):
            return EVERYTHING_ELSE
        words = services_text(chosen)
        more = len(words) - len(words[:most])
        return ", ".join(words[:most]) + (f" +{more}" if more else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Could:
    """Every ordered pair of zones; `left_out` of them were not evaluated."""

    pairs: tuple[Reach, ...]
    left_out: int = 0


def _unnamed(atom: ServiceAtom) -> bool:
    """Every pair has one such atom: the protocols that no rule names."""
    return atom.rest and atom.request.protocol not in ICMP_PROTOCOLS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Ends that policy cannot tell apart: the rules of their own policies, those that name them as the other end, the
    family (None: no address is known) and whether their own rules are proven to be enforced."""

    own_egress: int
    own_ingress: int
    other_egress: int
    other_ingress: int
    family: int | None
    protected: bool


class _Verdicts:
    """What a policy set denies at one end, over all services at once: one bit for each."""

    def __init__(self, policies: PolicySet, atoms: Sequence[ServiceAtom]) -> None:
        self._bitmaps = {direction: Bitmap(policies, direction) for direction in Direction}
        self._services = {
            direction: [bitmap.service(atom.request) for atom in atoms] for direction, bitmap in self._bitmaps.items()
        }
        self._known: dict[tuple[Direction, int], int] = {}

    def kind(self, end: Endpoint, *, protected: bool) -> _Kind:
        egress, ingress = self._bitmaps[Direction.EGRESS], self._bitmaps[Direction.INGRESS]
        return _Kind(
            own_egress=egress.subject(end),
            own_ingress=ingress.subject(end),
            other_egress=egress.peer(end),
            other_ingress=ingress.peer(end),
            family=end.address.version if end.address else None,
            protected=protected,
        )

    def denied(self, direction: Direction, rules: int) -> int:
        """By the rules that concern a pair in this direction."""
        found = self._known.get((direction, rules))
        if found is None:
            bitmap = self._bitmaps[direction]
            decided = (bitmap.decide(rules, rules, service) for service in self._services[direction])
            found = sum(
                1 << index
                for index, rule in enumerate(decided)
                if rule != NOBODY and FINAL[bitmap.actions[rule]] is Outcome.DENIED
            )
            self._known[direction, rules] = found
        return found


def who_could(
    policies: PolicySet, zones: Zones, *, external: Sequence[Workload] = (), most: int = MOST_EVALUATIONS
) -> Could:
    """Every ordered pair of zones with a common address family, with `outside` on either side, which is the `external`
    named networks and everybody else; stops after `most` evaluations."""
    rules = all_rules([policies])
    atoms = service_atoms(rules)
    verdicts = _Verdicts(policies, atoms)
    workloads = with_host_addresses([item.workload for members in zones.members.values() for item in members])
    addressed = {item.id: item for item in workloads}
    kinds = {name: _kinds(members, addressed, verdicts) for name, members in zones.members.items()}
    named = {None, *(item.id for item in external)}
    outsiders = (item.endpoint for item in ends(rules, [*workloads, *external]) if item.workload in named)
    kinds[OUTSIDE] = _distinct(verdicts.kind(end, protected=False) for end in outsiders)
    asked = [(one, other) for one in kinds for other in kinds if not one == other == OUTSIDE]
    found: list[Reach] = []
    for done, (source, destination) in enumerate(asked):
        most -= len(kinds[source]) * len(kinds[destination]) * len(atoms)
        if most < 0:
            return Could(pairs=tuple(found), left_out=len(asked) - done)
        cells = tuple(_cells(verdicts, atoms, kinds[source], kinds[destination]))
        if cells:
            found.append(Reach(source=source, destination=destination, cells=cells))
    return Could(pairs=tuple(found))


def _cells(
    verdicts: _Verdicts, atoms: Sequence[ServiceAtom], sources: Sequence[_Kind], destinations: Sequence[_Kind]
) -> Iterator[Cell]:
    met = [
        (one.family or other.family, *_denials(verdicts, one, other))
        for one in sources
        for other in destinations
        if one.family is None or other.family is None or one.family == other.family
    ]
    for index, atom in enumerate(atoms):
        own = [item for item in met if item[0] is None or atom.exists_in(item[0])]
        if own:
            yield Cell(
                atom=atom,
                pairs=len(own),
                denied=sum(denied >> index & 1 for _, denied, _ in own),
                enforced=sum(enforced >> index & 1 for _, _, enforced in own),
            )


def _denials(verdicts: _Verdicts, source: _Kind, destination: _Kind) -> tuple[int, int]:
    """The services that policy denies between two kinds, and those that the kernel does."""
    leaving = verdicts.denied(Direction.EGRESS, source.own_egress & destination.other_egress)
    entering = verdicts.denied(Direction.INGRESS, destination.own_ingress & source.other_ingress)
    return leaving | entering, (leaving if source.protected else 0) | (entering if destination.protected else 0)


def _kinds(members: Iterable[Posture], addressed: Mapping[str, Workload], verdicts: _Verdicts) -> tuple[_Kind, ...]:
    return _distinct(
        verdicts.kind(_endpoint(item.workload, address), protected=item.protected)
        for item in members
        for address in _addresses(addressed[item.workload.id])
    )


def _distinct(kinds: Iterable[_Kind]) -> tuple[_Kind, ...]:
    return tuple(dict.fromkeys(kinds))


def _addresses(workload: Workload) -> Sequence[Address | None]:
    """Those it holds, or held when it ended; None stands for one that nobody knows."""
    held = workload.addresses or tuple(address for item in workload.attachments for address in item.addresses)
    return held or (None,)


def _endpoint(workload: Workload, address: Address | None) -> Endpoint:
    return Endpoint(name=workload.name, labels=workload.labels, address=address)
