"""What one network namespace should hold: chains per family, jumps and address sets. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from enforcer.frames import Seal, seal_of
from enforcer.names import (
    FORWARD,
    IN,
    OUT,
    QUARANTINE_IN,
    QUARANTINE_OUT,
    Family,
    Network,
    Tokens,
    checked,
    set_name,
    short_hash,
)
from enforcer.render import Style, access_lines, log_target, rule_lines
from ringfence.errors import EnforcementFailed
from ringfence.model.quarantine import Quarantine
from ringfence.model.ruleset import QUARANTINE_RULE, Ruleset, log_prefix
from ringfence.model.verdict import Direction

DOCKER_DNS = "127.0.0.11/32"
"""Docker's resolver listens here in the workload's own namespace but asks from the host's."""
ND_TYPES = ("133", "134", "135", "136")
"""Router and neighbour solicitation and advertisement (RFC 4861); genuine ones carry hop limit 255."""
MLD_TYPES = ("130", "131", "132", "143")
"""Multicast listener messages (RFC 2710, RFC 3810), sent with hop limit 1; switches that snoop need them."""

ESTABLISHED: Tokens = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The filter table of one family: our chains with their rules, and built-in chain -> our chain for the jumps."""

    chains: Mapping[str, tuple[Tokens, ...]] = field(default_factory=dict)
    jumps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSet:
    """One ipset of type hash:net."""

    name: str
    family: Family
    members: frozenset[Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything of ours that one namespace should hold. The empty plan means: nothing."""

    tables: Mapping[Family, Table] = field(default_factory=lambda: {family: Table() for family in Family})
    sets: Mapping[str, KernelSet] = field(default_factory=dict)
    seal: Seal | None = None
    """What its interfaces let pass at their outer ends; None: everything."""
    problem: str = ""
    """Why the ruleset that is wanted is not in it; empty when it is."""

    @property
    def empty(self) -> bool:
        return not any(table.chains for table in self.tables.values())


def comment_of(chain: str, tokens: Tokens) -> str:
    """The comment that stands in the kernel for the rule's content: `rf:` and ten hex digits."""
    return f"rf:{short_hash(chain, tokens)}"


def rule_text(chain: str, tokens: Tokens) -> str:
    """The rule as restore input after `-A CHAIN`, with its comment before the target."""
    target = next(place for place, token in enumerate(tokens) if token in ("-j", "-g"))
    return checked((*tokens[:target], "-m", "comment", "--comment", comment_of(chain, tokens), *tokens[target:]))


def namespace_plan(
    ruleset: Ruleset | None, quarantine: Quarantine | None, mask: int, *, last: Ruleset | None = None
) -> Plan:
    """The plan of a workload that has a namespace of its own.

    The quarantine chains always stand there, empty without an order, so that a quarantine only fills them. An order
    does not wait for a ruleset that cannot be expressed: it stands with `last`, the ruleset before it.

    Raises:
        EnforcementFailed: a rule cannot be expressed, and nothing is isolated.
    """
    try:
        return _namespace_plan(ruleset, quarantine, mask)
    except EnforcementFailed as error:
        if quarantine is None:
            raise
        return replace(_namespace_plan(last, quarantine, mask), problem=str(error))


def _namespace_plan(ruleset: Ruleset | None, quarantine: Quarantine | None, mask: int) -> Plan:
    if ruleset is None and quarantine is None:
        return Plan()
    if ruleset is not None and ruleset.problem:
        raise EnforcementFailed(ruleset.problem)
    sets = ruleset_sets(ruleset) if ruleset is not None else {}
    style = Style(mask=mask)
    tables = {}
    for family in Family:
        chains: dict[str, tuple[Tokens, ...]] = {
            QUARANTINE_IN: tuple(_quarantine_lines(quarantine, Direction.INGRESS, family)),
            QUARANTINE_OUT: tuple(_quarantine_lines(quarantine, Direction.EGRESS, family)),
            FORWARD: tuple(_drop(Direction.EGRESS)) if quarantine is not None else (),
            IN: tuple(_namespace_lines(ruleset, Direction.INGRESS, family, style)),
            OUT: tuple(_namespace_lines(ruleset, Direction.EGRESS, family, style)),
        }
        tables[family] = Table(chains=chains, jumps={"INPUT": IN, "OUTPUT": OUT, "FORWARD": FORWARD})
    seal = seal_of(quarantine.access) if quarantine is not None else None
    return Plan(tables=tables, sets=sets, seal=seal)


def _namespace_lines(ruleset: Ruleset | None, direction: Direction, family: Family, style: Style) -> Iterator[Tokens]:
    inbound = direction is Direction.INGRESS
    yield ("-j", QUARANTINE_IN if inbound else QUARANTINE_OUT)
    if ruleset is None:
        return
    yield ("-i" if inbound else "-o", "lo", "-j", "ACCEPT")
    yield (*ESTABLISHED, "-j", "ACCEPT")
    if family is Family.IPV6:
        yield from neighbour_lines("ACCEPT")
        for kind in MLD_TYPES:
            yield _icmpv6(kind, "1", "ACCEPT")
    yield from ruleset_lines(ruleset, direction, family, style)


def neighbour_lines(target: str) -> Iterator[Tokens]:
    """Without these, IPv6 has no addresses to send to; they never match a connection."""
    for kind in ND_TYPES:
        yield _icmpv6(kind, "255", target)


def _icmpv6(kind: str, hops: str, target: str) -> Tokens:
    return ("-p", "icmpv6", "-m", "icmp6", "--icmpv6-type", kind, "-m", "hl", "--hl-eq", hops, "-j", target)


def ruleset_lines(
    ruleset: Ruleset, direction: Direction, family: Family, style: Style, *, reply: bool = False
) -> Iterator[Tokens]:
    """The rules of one direction in one family; `reply` judges answers as the connections they belong to."""
    digest = rules_digest(ruleset, style.slot)
    known = {item.name for item in ruleset.sets}

    def set_of(name: str) -> str:
        if name not in known:
            raise EnforcementFailed(f"a rule of {ruleset.workload} names a set that is not there: {name[:60]!r}")
        return set_name(family, digest, name)

    for rule in ruleset.rules(direction):
        yield from rule_lines(rule, direction, family, style, set_of, reply=reply)


def rules_digest(ruleset: Ruleset, slot: int = 0) -> str:
    """A digest of the rules without the members of their sets."""
    return short_hash(slot, ruleset.ingress, ruleset.egress, [item.name for item in ruleset.sets], length=16)


def ruleset_sets(ruleset: Ruleset, slot: int = 0) -> dict[str, KernelSet]:
    """The sets of a ruleset in both families, also the empty ones: they match nothing."""
    digest = rules_digest(ruleset, slot)
    found = {}
    for item in ruleset.sets:
        for family, members in ((Family.IPV4, item.ipv4), (Family.IPV6, item.ipv6)):
            name = set_name(family, digest, item.name)
            found[name] = KernelSet(name=name, family=family, members=frozenset(_without_zero(members)))
    return found


def _without_zero(networks: Sequence[Network]) -> Iterator[Network]:
    """hash:net takes no prefix of length 0 (ipset(8)): two halves say the same."""
    for network in networks:
        if network.prefixlen:
            yield network
        else:
            halves = ("0.0.0.0/1", "128.0.0.0/1") if network.version == 4 else ("::/1", "8000::/1")
            yield from (ip_network(half) for half in halves)


def _quarantine_lines(quarantine: Quarantine | None, direction: Direction, family: Family) -> Iterator[Tokens]:
    if quarantine is None:
        return
    inbound = direction is Direction.INGRESS
    for access in quarantine.access:
        yield from access_lines(access, direction, family)
    if family is Family.IPV6 and any(access.network.version == 6 for access in quarantine.access):
        yield from neighbour_lines("ACCEPT")
    if family is Family.IPV4:
        yield from ((side, DOCKER_DNS, *tail) for side in ("-s", "-d") for tail in _drop(direction))
    yield ("-i" if inbound else "-o", "lo", "-j", "RETURN")
    yield from _drop(direction)


def _drop(direction: Direction) -> Iterator[Tokens]:
    yield log_target(log_prefix(QUARANTINE_RULE, direction))
    yield ("-j", "DROP")
