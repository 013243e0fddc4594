"""Identities: a label set's number, the same on every host and after every restart, without anything to keep."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ringfence.model.workload import Identity

ID_BITS = 52
"""Numbers stay exact in JSON readers that know only doubles; 16,000 identities collide with probability 3e-8."""

LabelItems = tuple[tuple[str, str], ...]


def identity_of(labels: Mapping[str, str]) -> Identity:
    """The interned identity of a label set."""
    return _intern(tuple(sorted(labels.items())))


def labels_of(pairs: Iterable[str] | None) -> dict[str, str]:
    """Labels from the flow schema's `key=value` texts; the value may contain `=`."""
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs or ())}


@lru_cache(maxsize=65_536)
def _intern(labels: LabelItems) -> Identity:
    digest = hashlib.sha256(repr(labels).encode()).digest()
    return Identity(id=int.from_bytes(digest[:8], "big") >> (64 - ID_BITS), labels=labels)
