"""Attempts: the denied packets of one tick as legs, one for each connection attempt and rule direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.flow_table import primary_legs
from collector.legs import Legs, Rows, gather, with_wire
from collector.linking import Flows
from collector.wire import hash_words, reversed_words

Records = NDArray[Any]


def as_connections(packets: Records, legs: Legs, flows: Flows) -> Records:
    """A denied answer belongs to the connection it answers: turn its tuple round where only that one is known."""
    words = np.ascontiguousarray(packets["wire_in"])
    forward, _ = legs.wires.every(packets["hash_in"])
    turned = reversed_words(words)
    back, rows = legs.wires.every(hash_words(turned))
    live = np.zeros(len(packets), bool)
    flow = legs.rows["flow"][rows]
    live[back[(flow >= 0) & ~flows.rows["final"][flow]]] = True
    live[forward] = False
    if not live.any():
        return packets
    words[live] = turned[live]
    return with_wire(packets, words)


def together(packets: Records) -> Records:
    """Denied legs (n,) of one packet each, added up by key: one leg for each, from its first packet to its last."""
    order = np.lexsort((packets["last"], packets["key"]))
    first = np.r_[True, packets["key"][order][1:] != packets["key"][order][:-1]]
    last = np.r_[first[1:], True]
    group = np.cumsum(first) - 1
    result = packets[order[first]]
    for name in ("packets", "bytes"):
        result[name] = np.bincount(group, weights=packets[name][order]).astype(np.int64)
    result["last"], result["rule"] = packets["last"][order[last]], packets["rule"][order[last]]
    return result


def outlived(rows: Rows, attempts: Records, legs: Legs, flows: Flows) -> NDArray[np.bool_]:
    """Which of these legs (rows, n) belong to a connection that was over before the attempt's last packet.

    That packet is of another connection between the same ports; one that was only read late is not.
    """
    flow = gather(flows.rows, legs.rows["flow"][rows])
    primary = primary_legs(flow)
    over = np.maximum(flow["ended"], np.where(primary >= 0, legs.rows["stop"][primary], 0))
    result: NDArray[np.bool_] = flow["final"] & (attempts["last"] > over)
    return result


def beyond(attempts: Records, legs: Legs, most: int) -> NDArray[np.bool_]:
    """Which new attempts (n,) exceed `most` in memory in their namespace.

    Those of a connection that is tracked never do: left out they would leave it standing as allowed.
    """
    rows = legs.rows
    held, counts = np.unique(rows["netns"][rows["used"] & (rows["kind"] > 0)], return_counts=True)
    alone = legs.wires.latest(attempts["hash_in"]) < 0
    result = np.zeros(len(attempts), bool)
    for inode in np.unique(attempts["netns"][alone]):
        mine = np.flatnonzero(alone & (attempts["netns"] == inode))
        room = max(0, most - int(counts[held == inode].sum()))
        result[mine[room:]] = True
    return result
