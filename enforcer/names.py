"""Names of what the enforcer owns in the kernel. Anything else in a namespace belongs to somebody else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from ringfence.errors import EnforcementFailed

Network = IPv4Network | IPv6Network
Tokens = tuple[str, ...]
"""The arguments of one rule after `-A CHAIN`, without its comment."""

CHAIN_PREFIX: Final = "RINGFENCE-"
IN: Final = "RINGFENCE-IN"
OUT: Final = "RINGFENCE-OUT"
FORWARD: Final = "RINGFENCE-FWD"
QUARANTINE_IN: Final = "RINGFENCE-Q-IN"
QUARANTINE_OUT: Final = "RINGFENCE-Q-OUT"

SET_PREFIX: Final = "ringfence"
TEMPORARY: Final = "t"
"""Suffix of a set that is being filled before it is swapped in."""
SLOT_CHAIN: Final = re.compile(rf"{CHAIN_PREFIX}(\d{{1,3}})-([0-9a-f]{{6}})-[0-9a-f]{{4}}-[IOR]")
_SET: Final = re.compile(rf"{SET_PREFIX}[46]-[0-9a-f]{{8}}-[0-9a-f]{{8}}{TEMPORARY}?")

_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:,/!=+@~")


class Family(Enum):
    """Address families, with ipset's words for them."""

    IPV4 = "inet"
    IPV6 = "inet6"

    @property
    def version(self) -> int:
        return 4 if self is Family.IPV4 else 6

    @property
    def label(self) -> str:
        return f"IPv{self.version}"


def is_our_chain(name: str) -> bool:
    """Exactly a name that we give: an administrator's chain may begin like ours."""
    return name in (IN, OUT, FORWARD, QUARANTINE_IN, QUARANTINE_OUT) or SLOT_CHAIN.fullmatch(name) is not None


def is_our_set(name: str) -> bool:
    """Exactly a name that `set_name` gives, or its temporary form."""
    return _SET.fullmatch(name) is not None


def short_hash(*parts: object, length: int = 10) -> str:
    """A short hex digest of the parts' representations."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:length]


def set_name(family: Family, rules_digest: str, name: str) -> str:
    """The kernel's name of an address set, at most 28 of the 31 characters that ipset allows.

    It carries a digest of the rules that use it: other rules get other sets, so a change of rules never alters what
    the rules still in force match; a change of members alone keeps the name and is swapped in.
    """
    return f"{SET_PREFIX}{family.version}-{rules_digest[:8]}-{short_hash(name, length=8)}"


def checked(tokens: Sequence[str]) -> str:
    """The tokens as one line of restore input.

    Raises:
        EnforcementFailed: a token holds a character that could mean something to the restore tools.
    """
    for token in tokens:
        if not token or not _SAFE.issuperset(token):
            raise EnforcementFailed(f"a rule holds text that must not reach the kernel tools: {token[:80]!r}")
    return " ".join(tokens)
