"""Conversations: packets of a capture put together to flows, a block of packets at a time.

A conversation is what Wireshark calls one: the same two ends and protocol, both ways; for TCP a new one begins with a
SYN whose sequence number is not that of the former; ICMP echo also by its id. Fragments belong to their datagram's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.frames import NO_VLAN
from collector.wire import WIRE, reversed_words, words_of

SYN, RST, ACK, FIN = 2, 4, 16, 1
_REQUESTS = {8: 0, 13: 14, 15: 16, 17: 18, 128: 129}
_TO_REQUEST = np.arange(256)
for _request, _answer in _REQUESTS.items():
    _TO_REQUEST[_answer] = _request
_PAIRED = np.zeros(256, bool)
_PAIRED[[*_REQUESTS, *_REQUESTS.values()]] = True

Packets = NDArray[Any]


@dataclass(slots=True)
class Conversation:
    """`first` is the first packet as sent by the source. Lists hold (source's, destination's) figures."""

    wire: bytes
    has_ports: bool
    vlan: int
    started: int
    ended: int
    turned: bool  # the source is the end that sorts second
    number: int
    packets: list[int] = field(default_factory=lambda: [0, 0])
    bytes: list[int] = field(default_factory=lambda: [0, 0])
    frames: list[int] = field(default_factory=lambda: [0, 0])
    flags: list[int] = field(default_factory=lambda: [0, 0])
    syn: int = -1
    answered: bool = False
    handshake_us: int | None = None


class Conversations:
    """Takes blocks in the order of the file."""

    def __init__(self) -> None:
        self.every: list[Conversation] = []
        self._current: dict[bytes, Conversation] = {}
        self._bases: dict[tuple[bytes, bool], int] = {}

    def take(self, packets: Packets) -> None:
        """Add `PACKET` records (n,)."""
        if not len(packets):
            return
        words, turned = _canonical(packets)
        _, first, back = np.unique(words, axis=0, return_index=True, return_inverse=True)
        back = back.reshape(-1)
        keys = [words[row].tobytes() for row in first]
        turn = self._turns(packets, back, turned, keys)
        group = back * (int(turn.max()) + 1) + turn
        order = np.argsort(group, kind="stable")
        edges = np.flatnonzero(np.r_[True, group[order][1:] != group[order][:-1]])
        for members in sorted(np.split(order, edges[1:]), key=lambda rows: int(rows[0])):
            self._add(keys[back[members[0]]], int(turn[members[0]]), packets[members], turned[members])

    def _turns(self, packets: Packets, back: Packets, turned: Packets, keys: list[bytes]) -> NDArray[np.int64]:
        """For each packet, how many new connections its ends have begun within this block before or with it."""
        turn = np.zeros(len(packets), np.int64)
        tcp = packets["protocol"] == 6
        if not tcp.any():
            return turn
        begins = tcp & ((packets["tcp_flags"] & (SYN | ACK)) == SYN)
        # The first sequence number of each direction; every packet that is the first of its direction sets it.
        base_of = np.where(packets["tcp_flags"] & SYN, packets["sequence"], packets["sequence"] - np.uint32(1))
        direction = back * 2 + turned
        _, first = np.unique(direction, return_index=True)
        interesting = np.union1d(np.flatnonzero(begins), first[tcp[first]])
        for row in interesting.tolist():
            key, way = keys[back[row]], bool(turned[row])
            base = int(base_of[row])
            known = self._bases.get((key, way))
            if begins[row] and known is not None and known != base:
                turn[(back == back[row]) & (np.arange(len(packets)) >= row)] += 1
                self._bases.pop((key, not way), None)
                self._set_later(packets, base_of, (back == back[row]) & (turned != way), row, (key, not way))
                known = None
            if known is None:
                self._bases[key, way] = base
        return turn

    def _set_later(
        self, packets: Packets, base_of: Packets, other: Packets, row: int, name: tuple[bytes, bool]
    ) -> None:
        later = np.flatnonzero(other[row:])
        if len(later):
            self._bases[name] = int(base_of[row + later[0]])

    def _add(self, key: bytes, turn: int, packets: Packets, turned: Packets) -> None:
        known = self._current.get(key)
        if known is None or turn > 0:
            known = self._open(packets, turned, known.number + 1 if known else 0)
            self._current[key] = known
        self._extend(known, packets, turned)

    def _open(self, packets: Packets, turned: Packets, number: int) -> Conversation:
        head = packets[0]
        answer = bool(head["protocol"] == 6 and head["tcp_flags"] & SYN and head["tcp_flags"] & ACK)
        answer |= bool(_PAIRED[head["icmp_type"]] and head["icmp_type"] in _REQUESTS.values() and _is_icmp(head))
        wire = _wires(packets[:1])
        if answer:
            wire = reversed_words(wire)
        raw = bytearray(wire[0].tobytes())
        if answer and _is_icmp(head):
            raw[38] = int(_TO_REQUEST[head["icmp_type"]])
        made = Conversation(
            wire=bytes(raw),
            has_ports=bool(head["has_ports"]),
            vlan=int(head["vlan"]),
            started=int(packets["time_ns"].min()),
            ended=int(packets["time_ns"].max()),
            turned=bool(turned[0]) != answer,
            number=number,
        )
        self.every.append(made)
        return made

    def _extend(self, known: Conversation, packets: Packets, turned: Packets) -> None:
        for side, mine in enumerate((turned == known.turned, turned != known.turned)):
            part = packets[mine]
            if len(part):
                known.packets[side] += len(part)
                known.bytes[side] += int(part["length"].sum(dtype=np.int64))
                known.frames[side] += int(part["frame"].sum(dtype=np.int64))
                known.flags[side] |= int(np.bitwise_or.reduce(part["tcp_flags"]))
        known.started = min(known.started, int(packets["time_ns"].min()))
        known.ended = max(known.ended, int(packets["time_ns"].max()))
        if packets["protocol"][0] == 6 and known.handshake_us is None:
            self._shake(known, packets, turned == known.turned)

    @staticmethod
    def _shake(known: Conversation, packets: Packets, mine: Packets) -> None:
        """From the client's first SYN to its first ACK after the answer."""
        flags, times = packets["tcp_flags"], packets["time_ns"]
        rows = np.flatnonzero((flags & SYN != 0) | (mine & (flags & ACK != 0)))
        for row in rows.tolist():
            kind, now = int(flags[row]) & (SYN | ACK), int(times[row])
            if mine[row] and kind == SYN and known.syn < 0:
                known.syn = now
            elif not mine[row] and kind == SYN | ACK and known.syn >= 0 and not known.answered:
                known.answered = True
            elif mine[row] and kind == ACK and known.answered:
                known.handshake_us = max(0, (now - known.syn) // 1000)
                return


def tcp_state(known: Conversation) -> str:
    """The state in which the capture leaves a TCP connection, in conntrack's words."""
    mine, theirs = known.flags
    if (mine | theirs) & RST:
        return "close"
    if mine & theirs & FIN:
        return "time_wait"
    if (mine | theirs) & FIN:
        return "fin_wait"
    if mine & SYN and not theirs:
        return "syn_sent"
    if mine & SYN and theirs & SYN and not mine & ACK:
        return "syn_recv"
    return "established"


def vlan_of(known: Conversation) -> int | None:
    return None if known.vlan == NO_VLAN else known.vlan


def _is_icmp(head: Any) -> bool:
    return head["protocol"] in (1, 58)


def _wires(packets: Packets) -> NDArray[np.uint64]:
    rows = np.empty(len(packets), WIRE)
    for name in ("src", "dst", "src_port", "dst_port", "family", "protocol", "icmp_type", "icmp_code"):
        rows[name] = packets[name]
    return words_of(rows)


def _canonical(packets: Packets) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Both directions of a conversation as the same words (n x 5), and which packets were turned round for that."""
    rows = np.empty(len(packets), WIRE)
    for name in ("src", "dst", "src_port", "dst_port", "family", "protocol", "icmp_code"):
        rows[name] = packets[name]
    icmp = (packets["protocol"] == 1) | (packets["protocol"] == 58)
    rows["icmp_type"] = np.where(icmp, _TO_REQUEST[packets["icmp_type"]], 0)
    # The id stands in both ports: it is the same both ways.
    paired = icmp & _PAIRED[packets["icmp_type"]]
    for name in ("src_port", "dst_port"):
        rows[name] = np.where(paired, packets["icmp_id"], rows[name])
    words = words_of(rows)
    backward = reversed_words(words)
    differ = words != backward
    place = np.argmax(differ, axis=1)
    index = np.arange(len(words))
    turned: NDArray[np.bool_] = differ.any(axis=1) & (words[index, place] > backward[index, place])
    # Messages without an answer, such as ICMP errors, are one-way: a conversation of their own per direction.
    turned &= ~(icmp & ~paired)
    return np.where(turned[:, None], backward, words), turned
