"""What one network namespace holds now, read from the text of iptables-save and ipset save. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from enforcer.names import Family, Network, is_our_chain, is_our_set

BUILTIN = ("INPUT", "FORWARD", "OUTPUT")
INCOMPATIBLE = "is incompatible, use 'nft' tool"
"""What iptables-save says, without failing, in place of a table that holds what iptables has no words for."""
_RULE = re.compile(r"^(?:\[(\d+):\d+\] )?-A (\S+) ?(.*)$")
_COMMENT = re.compile(r'--comment "?(rf:[0-9a-z:]+)"?(?: |$)')
_TARGET = re.compile(r"(?:^| )-[jg] (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRule:
    """`text` is what follows `-A CHAIN`, without counters; `packets` is the counter."""

    text: str
    packets: int = 0

    @property
    def comment(self) -> str:
        """Our comment, empty when the rule carries none."""
        match = _COMMENT.search(self.text)
        return match[1] if match else ""

    @property
    def target(self) -> str:
        match = _TARGET.search(self.text)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSet:
    """One ipset. `members` is empty for a type that is not ours."""

    name: str
    kind: str
    family: str
    members: frozenset[Network] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """`tables` holds our chains and the built-in ones of the filter table; `sets` only ours.

    `ipv6_active`: the namespace has an IPv6 address beyond loopback. `unreadable`: families that could not be read,
    with the reason; `unseen`: those of them in which something of ours may stand all the same. `mixed`: what else
    filters here, in words, when a second iptables backend has tables; `elsewhere`: that backend's tables, where
    something of ours stands in them.
    """

    tables: Mapping[Family, Mapping[str, tuple[ObservedRule, ...]]]
    sets: Mapping[str, ObservedSet] = field(default_factory=dict)
    ipv6_active: bool = True
    unreadable: Mapping[Family, str] = field(default_factory=dict)
    unseen: frozenset[Family] = frozenset()
    mixed: str = ""
    elsewhere: Mapping[Family, Mapping[str, tuple[ObservedRule, ...]]] = field(default_factory=dict)

    def rules(self, family: Family, chain: str) -> tuple[ObservedRule, ...]:
        return self.tables.get(family, {}).get(chain, ())

    @property
    def chains(self) -> frozenset[tuple[Family, str]]:
        """Our chains."""
        return frozenset(
            (family, name) for family, table in self.tables.items() for name in table if is_our_chain(name)
        )

    @property
    def empty(self) -> bool:
        """Nothing of ours is here: no chain, no jump, no set."""
        return not (any(holds_ours(table) for table in self.tables.values()) or self.sets or self.elsewhere)


def holds_ours(table: Mapping[str, Sequence[ObservedRule]]) -> bool:
    """Whether one of our chains, or a jump to one, is in the table."""
    jumps = any(is_our_chain(rule.target) for chain in BUILTIN for rule in table.get(chain, ()))
    return jumps or any(is_our_chain(name) for name in table)


def parse_tables(text: str) -> dict[str, tuple[ObservedRule, ...]]:
    """Our chains and the built-in ones from the output of `iptables-save -c -t filter`."""
    chains: dict[str, list[ObservedRule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        if table != "filter":
            continue
        if line.startswith(":"):
            chains.setdefault(line[1:].split(" ", 1)[0], [])
        elif match := _RULE.match(line):
            chains.setdefault(match[2], []).append(ObservedRule(text=match[3], packets=int(match[1] or 0)))
    return {name: tuple(rules) for name, rules in chains.items() if name in BUILTIN or is_our_chain(name)}


def parse_sets(text: str) -> dict[str, ObservedSet]:
    """Our sets from the output of `ipset save`."""
    kinds: dict[str, tuple[str, str]] = {}
    members: dict[str, set[Network]] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or not is_our_set(words[1]):
            continue
        if words[0] == "create":
            family = words[words.index("family") + 1] if "family" in words else ""
            kinds[words[1]] = (words[2], family)
        elif words[0] == "add" and kinds.get(words[1], ("",))[0] == "hash:net":
            members.setdefault(words[1], set()).add(ip_network(words[2], strict=False))
    return {
        name: ObservedSet(name=name, kind=kind, family=family, members=frozenset(members.get(name, ())))
        for name, (kind, family) in kinds.items()
    }
