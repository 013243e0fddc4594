"""Rules that can never decide anything, whatever workloads there are: warnings, not errors.

Structural and therefore safe: what is reported is certainly dead, but not everything dead is found.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model.policy import Network, Peer, Policy, PolicySet, PortInterval, Problem, Rule, Service
from ringfence.model.verdict import Direction


def lint(policies: PolicySet) -> tuple[Problem, ...]:
    """Warnings in order of line: shadowed rules, redundant rules, tiers without policies, groups that come too late."""
    return tuple(sorted((*_rules(policies), *_tiers(policies), *_groups(policies))))


def _rules(policies: PolicySet) -> Iterator[Problem]:
    for tier in policies.tiers:
        for policy in tier.policies:
            for direction in Direction:
                yield from _policy_rules(policy, direction)


def _policy_rules(policy: Policy, direction: Direction) -> Iterator[Problem]:
    rules = policy.rules(direction) or ()
    for index, rule in enumerate(rules):
        earlier = next((number for number, item in enumerate(rules[:index]) if rule_covers(item, rule)), None)
        if earlier is None:
            continue
        same = rules[earlier].action is rule.action
        word = "redundant" if same else "shadowed"
        message = (
            f"rule {index + 1} is {word}: rule {earlier + 1} ({rules[earlier].action}) matches all that it matches"
        )
        yield Problem(line=rule.line, path=f"{policy.name}.{direction}[{index}]", message=message)


def _tiers(policies: PolicySet) -> Iterator[Problem]:
    for tier in policies.tiers:
        if not tier.policies:
            yield Problem(line=tier.line, path=f"tiers.{tier.name}", message="no policy is in this tier")


def _groups(policies: PolicySet) -> Iterator[Problem]:
    """Only the first matching group counts, so an equal selector or all() before makes a group dead."""
    seen: dict[str, str] = {}
    for group in policies.groups:
        text = " ".join(group.selector.text.split())
        first = seen.get(text) or seen.get("all()")
        if first is not None:
            message = f"never counts: group {first} matches the same workloads before it"
            yield Problem(line=group.line, path=f"groups.{group.name}", message=message)
        seen.setdefault(text, group.name)


def rule_covers(one: Rule, other: Rule) -> bool:
    """Whether the first rule certainly matches everything that the second one matches."""
    peers = not one.peers or Peer() in one.peers
    services = not one.services or Service() in one.services
    return (
        peers
        or (bool(other.peers) and all(any(_peer_covers(wide, narrow) for wide in one.peers) for narrow in other.peers))
    ) and (
        services
        or (
            bool(other.services)
            and all(any(_service_covers(wide, narrow) for wide in one.services) for narrow in other.services)
        )
    )


def _peer_covers(wide: Peer, narrow: Peer) -> bool:
    if wide.selector is not None and (narrow.selector is None or wide.selector != narrow.selector):
        return False
    if not wide.networks and not wide.not_networks:
        return True
    inside = not wide.networks or (
        bool(narrow.networks) and all(any(_within(item, net) for net in wide.networks) for item in narrow.networks)
    )
    spared = all(
        any(_within(item, out) for out in narrow.not_networks)
        or (bool(narrow.networks) and not any(_overlap(item, net) for net in narrow.networks))
        for item in wide.not_networks
    )
    return inside and spared


def _service_covers(wide: Service, narrow: Service) -> bool:
    if wide.protocol is not None and wide.protocol != narrow.protocol:
        return False
    if wide.icmp_type is not None and wide.icmp_type != narrow.icmp_type:
        return False
    if wide.icmp_code is not None and wide.icmp_code != narrow.icmp_code:
        return False
    return not wide.ports or (
        bool(narrow.ports) and all(any(_spans(span, item) for span in wide.ports) for item in narrow.ports)
    )


def _spans(wide: PortInterval, narrow: PortInterval) -> bool:
    return wide.first <= narrow.first and narrow.last <= wide.last


def _within(narrow: Network, wide: Network) -> bool:
    return _overlap(narrow, wide) and narrow.prefixlen >= wide.prefixlen


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
