"""Wire: a packet's addresses, ports and protocol as 40 bytes, so that columns of them are hashed at once."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIRE = np.dtype(
    [
        ("src", "u1", 16),  # IPv4 in the first four bytes
        ("dst", "u1", 16),
        ("src_port", "u2"),
        ("dst_port", "u2"),
        ("family", "u1"),
        ("protocol", "u1"),
        ("icmp_type", "u1"),
        ("icmp_code", "u1"),
    ]
)
"""One direction of a connection as it stands in its packets; ICMP by type and code of the first packet."""

Words = NDArray[np.uint64]
"""Shape (n, 5): `WIRE` records as 64-bit words."""
Hashes = NDArray[np.uint64]
"""Shape (n,)."""

_SEED = np.uint64(secrets.randbits(64))
"""Drawn per process, so that nobody can prepare tuples that collide."""
_M1, _M2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_S1, _S2 = np.uint64(32), np.uint64(29)


def original(records: NDArray[Any]) -> Words:
    """The original tuple of `CONNTRACK` records or the tuple of `DENIED` records (shape n): what came in."""
    return _words(records, "src", "dst", "src_port", "dst_port")


def translated(records: NDArray[Any]) -> Words:
    """The reply tuple of `CONNTRACK` records turned round: what went out, after this namespace's translation."""
    return _words(records, "reply_dst", "reply_src", "reply_dst_port", "reply_src_port")


def reversed_words(words: Words) -> Words:
    """Source and destination exchanged."""
    rows = records_of(words)
    result = rows.copy()
    result["src"], result["dst"] = rows["dst"], rows["src"]
    result["src_port"], result["dst_port"] = rows["dst_port"], rows["src_port"]
    return words_of(result)


def records_of(words: Words) -> NDArray[Any]:
    """`WIRE` records (shape n) of words (n x 5)."""
    return np.ascontiguousarray(words).view(WIRE).reshape(len(words))


def words_of(rows: NDArray[Any]) -> Words:
    """The inverse of `records_of`."""
    return np.ascontiguousarray(rows).view(np.uint64).reshape(len(rows), 5)


def hash_words(words: Words, *extra: NDArray[Any]) -> Hashes:
    """Seeded 64-bit hashes of each row of words (n x k) and of further columns (n,); equal rows, equal hashes."""
    result = np.full(len(words), _SEED, np.uint64)
    for column in (*words.T, *extra):
        result ^= column.astype(np.uint64)
        result *= _M1
        result ^= result >> _S1
        result *= _M2
        result ^= result >> _S2
    return result


def _words(records: NDArray[Any], src: str, dst: str, src_port: str, dst_port: str) -> Words:
    rows = np.empty(len(records), WIRE)
    rows["src"], rows["dst"] = records[src], records[dst]
    rows["src_port"], rows["dst_port"] = records[src_port], records[dst_port]
    for name in ("family", "protocol", "icmp_type", "icmp_code"):
        rows[name] = records[name]
    return words_of(rows)
