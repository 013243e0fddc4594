"""One rule of a ruleset as the iptables rules of one address family. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from enforcer.names import Family, Network, Tokens
from ringfence.errors import EnforcementFailed
from ringfence.model.policy import PortInterval, Service
from ringfence.model.quarantine import ControlledAccess
from ringfence.model.ruleset import LOG_GROUP, WORKLOAD_SLOT_MASK, RulesetRule, log_prefix, mark_of
from ringfence.model.verdict import Direction

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
WITH_PORTS = (TCP, UDP, SCTP)
ANY_ICMP_TYPE = 255
"""What the kernel's match takes for any type of ICMP for IPv4 (`icmp_type_code_match`); in ICMPv6 it is itself."""
MULTIPORT_SLOTS = 15
"""What one multiport match holds: a port takes one slot, a range two (xt_multiport.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Where the rules stand.

    `accept` is the target of an allowing rule: ACCEPT in a workload's own namespace, RETURN in the host's, where the
    host's own firewall still has its say. `slot` goes into the connection mark of a host-network workload.
    """

    mask: int
    accept: str = "ACCEPT"
    slot: int = 0

    def mark(self, number: int) -> str:
        """`value/mask` for the allowing rule of this number; bits outside the masks stay as they are."""
        try:
            value = mark_of(number, self.mask)
        except ValueError as error:
            raise EnforcementFailed(str(error), hint="widen enforce.mark_mask within the lower 24 bits") from error
        if not self.slot:
            return f"{value:#x}/{self.mask:#x}"
        return f"{value | self.slot << 24:#x}/{self.mask | WORKLOAD_SLOT_MASK:#x}"


def rule_lines(
    rule: RulesetRule,
    direction: Direction,
    family: Family,
    style: Style,
    set_of: Callable[[str], str],
    *,
    reply: bool = False,
) -> Iterator[Tokens]:
    """The iptables rules that carry out `rule`, in order; none when it cannot match in this family.

    `reply` turns source and destination round: it judges an answer as the connection it belongs to.
    """
    peer = _peer_match(rule, direction, set_of, reply=reply)
    for service in service_matches(rule.service, family, reply=reply):
        match = (*service, *peer)
        for target in _targets(rule, direction, family, style, service):
            yield (*match, *target)


def _peer_match(rule: RulesetRule, direction: Direction, set_of: Callable[[str], str], *, reply: bool) -> Tokens:
    side = "src" if (direction is Direction.INGRESS) != reply else "dst"
    tokens: list[str] = []
    if rule.peers is not None:
        tokens += ["-m", "set", "--match-set", set_of(rule.peers), side]
    if rule.not_peers is not None:
        tokens += ["-m", "set", "!", "--match-set", set_of(rule.not_peers), side]
    return tuple(tokens)


def _targets(
    rule: RulesetRule, direction: Direction, family: Family, style: Style, service: Tokens
) -> Iterator[Tokens]:
    if rule.allow:
        yield ("-j", "CONNMARK", "--set-xmark", style.mark(rule.number))
        yield ("-j", style.accept)
    else:
        yield log_target(log_prefix(rule.number, direction, style.slot))
        yield from _denials(rule, family, service)


def _denials(rule: RulesetRule, family: Family, service: Tokens) -> Iterator[Tokens]:
    if not rule.reject:
        yield ("-j", "DROP")
        return
    reset = ("-j", "REJECT", "--reject-with", "tcp-reset")
    if service[:2] == ("-p", "tcp"):
        yield reset
        return
    if not service:
        yield ("-p", "tcp", *reset)
    answer = "icmp-port-unreachable" if family is Family.IPV4 else "icmp6-port-unreachable"
    yield ("-j", "REJECT", "--reject-with", answer)


def log_target(prefix: str) -> Tokens:
    """NFLOG without a threshold of its own: whoever listens decides how packets are grouped."""
    return ("-j", "NFLOG", "--nflog-prefix", prefix, "--nflog-group", str(LOG_GROUP))


def service_matches(service: Service, family: Family, *, reply: bool = False) -> Iterator[Tokens]:
    """The matches of a service in one family, several when ports need it; none when the family has no such protocol.

    Raises:
        EnforcementFailed: an ICMP code without a type, or ICMP type 255 of IPv4, which iptables cannot say.
    """
    if service.protocol in (ICMP, ICMPV6):
        if service.protocol == (ICMP if family is Family.IPV4 else ICMPV6):
            yield _icmp(service, family, reply=reply)
    elif service.ports:
        for protocol in WITH_PORTS if service.protocol is None else (service.protocol,):
            for chunk in port_chunks(service.ports):
                yield (*_protocol(protocol), "-m", "multiport", "--sports" if reply else "--dports", chunk)
    else:
        yield () if service.protocol is None else _protocol(service.protocol)


def _protocol(number: int) -> Tokens:
    return ("-p", {TCP: "tcp", UDP: "udp"}.get(number, str(number)))


def _icmp(service: Service, family: Family, *, reply: bool) -> Tokens:
    name, module, option = (
        ("icmp", "icmp", "--icmp-type") if family is Family.IPV4 else ("icmpv6", "icmp6", "--icmpv6-type")
    )
    if reply or (service.icmp_type is None and service.icmp_code is None):
        return ("-p", name)
    if service.icmp_type is None:
        raise EnforcementFailed("an ICMP code without a type cannot be matched")
    if family is Family.IPV4 and service.icmp_type == ANY_ICMP_TYPE:
        raise EnforcementFailed("ICMP type 255 cannot be matched: the kernel takes it for every type")
    code = "" if service.icmp_code is None else f"/{service.icmp_code}"
    return ("-p", name, "-m", module, option, f"{service.icmp_type}{code}")


def port_chunks(ports: Sequence[PortInterval]) -> Iterator[str]:
    """Lists for multiport, each within its slots: `80,443,1000:2000`."""
    chunk: list[str] = []
    used = 0
    for interval in ports:
        need = 1 if interval.first == interval.last else 2
        if used + need > MULTIPORT_SLOTS:
            yield ",".join(chunk)
            chunk, used = [], 0
        chunk.append(str(interval.first) if need == 1 else f"{interval.first}:{interval.last}")
        used += need
    if chunk:
        yield ",".join(chunk)


def access_lines(
    access: ControlledAccess, chain: Direction, family: Family, accept: str = "ACCEPT"
) -> Iterator[Tokens]:
    """The exceptions that a controlled access makes in one direction's quarantine chain.

    In the direction it names, packets are let through by address and service alone; the other way only answers to
    connections that began that way. `accept` is as in `Style`.
    """
    network: Network = access.network
    if network.version != family.version:
        return
    reply = access.direction is not chain
    side = "-s" if chain is Direction.INGRESS else "-d"
    state: Tokens = ("-m", "conntrack", "--ctdir", "REPLY" if reply else "ORIGINAL")
    for service in service_matches(access.service, family, reply=reply):
        yield (*service, side, str(network), *state, "-j", accept)
