"""Aggregate: kernel messages of one tick in, rows of `FLOW_SCHEMA` out.

A leg is held for one tick before its flow is first written, so that the legs of a connection meet. Then a row is
written when something changed, and a final one when the leg that counts (source, else destination, else host) ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collector.attempts import as_connections, beyond, outlived, together
from collector.attribution import Attribution
from collector.columns import NO_TCP_STATE, MessageKind
from collector.flow_table import Reason, RowBuilder, primary_legs
from collector.legs import Gone, LegKind, Legs, Role, Rows, denied, gather, tracked
from collector.linking import Flows, link
from collector.resume import Resume
from collector.wire import records_of
from ringfence.metrics import FLOWS_DISCARDED
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.verdict import RuleRef

DYING_NS = 5_000_000_000
"""How long a flow whose leg that counts has ended waits for the end of its others."""
GRACE_NS = 30_000_000_000
"""A final flow stays known this long, so that late messages about it are not taken for another connection."""
SHORT_GRACE_NS = 3_000_000_000
MANY_FLOWS = 500_000
"""With more flows than this in memory (some 2.5 kB each with their legs) the grace is the short one."""
LONGEST_PAUSE_NS = 150_000_000_000
"""A denied TCP connection attempt repeats after pauses that double, up to 64 s with the kernel's default."""
UNWATCHED = np.uint64(1 << 63)
"""Namespaces without an inode we know are told apart by their nsid with this bit set."""
MISSED_DUMPS = 2

Records = NDArray[Any]
InodesOf = Callable[[NDArray[Any]], NDArray[np.uint64]]


class Aggregator:
    """One thread at a time."""

    def __init__(
        self,
        *,
        host: str,
        boot_id: str,
        attribution: Attribution,
        inodes_of: InodesOf,
        mark_mask: int,
        rule_names: Callable[[int], RuleRef | None],
        denied_idle_seconds: float = 30.0,
        most_denied: int = 20_000,
        include_loopback: bool = False,
        resume: pa.Table | None = None,
    ) -> None:
        """`inodes_of` maps a column of nsids to namespace inodes, 0 where unknown. `resume`: open rows of before."""
        self._attribution, self._inodes_of = attribution, inodes_of
        self._idle = int(denied_idle_seconds * 1e9)
        self._loopback, self._most_denied = include_loopback, most_denied
        self._legs, self._flows = Legs(), Flows()
        self._resume = Resume(resume if resume is not None else FLOW_SCHEMA.empty_table())
        self._rows = RowBuilder(
            host=host,
            boot_id=boot_id,
            attribution=attribution,
            mark_mask=mark_mask,
            rule_names=rule_names,
            resume=self._resume,
        )
        self._tick = self._round = self._now = 0
        self._unplaced: list[tuple[int, Records]] = []
        self.discarded: dict[str, int] = {"loopback": 0, "unwatched": 0}
        self.unfollowed = 0
        """Denied packets of attempts beyond `most_denied` in one namespace."""

    @property
    def open_flows(self) -> int:
        """Flows in memory, ended ones included until their grace is over."""
        return len(self._flows)

    def take(
        self,
        conntrack: Records,
        denials: Records,
        now_ns: int,
        *,
        dumped: Sequence[tuple[int, int]] = (),
        gone: Sequence[int] = (),
        hold: bool = True,
        extra: bool = False,
    ) -> pa.Table:
        """One tick. `dumped`: (inode, start in ns) of every table read completely, whose records are in `conntrack`.

        `gone`: inodes of namespaces that ended; their last dump must have been taken before. `hold` False writes what
        is still held (at the end of a run). `extra`: a tick within a round, by which nothing that waits for a number of
        rounds grows older.
        """
        self._tick, self._now = self._tick + 1, now_ns
        self._round += not extra
        self._attribution.refresh()
        touched = [self._take_tracked(self._place(conntrack, hold))]
        touched.append(self._take_denied(denials))
        touched += [self._note_dump(*item) for item in dumped]
        touched += [self._end_legs(self._in_namespace(inode), Gone.NAMESPACE) for inode in gone]
        touched.append(self._dying())
        self._finish(np.unique(np.concatenate(touched)))
        self._finish_idle(now_ns, gone)
        table = self._write(hold)
        self._release(now_ns)
        return table

    def first_dump_done(self) -> None:
        """Every table was read once: open flows of before that do not show up in the next two rounds are lost."""
        self._resume.expire_after(self._round + 3)

    # -- conntrack -----------------------------------------------------------------------------------------------

    def _place(self, records: Records, hold: bool) -> tuple[Records, NDArray[np.uint64]]:
        """Records with the inode of their namespace. Those of an unknown one wait for two rounds: it may be new.

        Without `hold` they wait no longer.
        """
        waiting, self._unplaced = self._unplaced, []
        records = np.concatenate([*(part for _, part in waiting), records]) if waiting else records
        age = np.full(len(records), self._round)
        position = 0
        for since, part in waiting:
            age[position : position + len(part)] = since
            position += len(part)
        inodes = self._inodes_of(records["nsid"])
        late = (inodes == 0) & (age > self._round - 2) & hold
        for since in np.unique(age[late]):
            self._unplaced.append((int(since), records[late & (age == since)]))
        inodes = np.where(inodes == 0, records["nsid"].astype(np.int64).view(np.uint64) | UNWATCHED, inodes)
        return records[~late], inodes[~late]

    def _take_tracked(self, placed: tuple[Records, NDArray[np.uint64]]) -> Rows:
        records, inodes = placed
        legs, kinds = tracked(records, inodes), records["kind"]
        own = self._locate(legs)
        self._discard("loopback", int(np.count_nonzero(own & (kinds == MessageKind.NEW))))
        # The end of what was never placed tells nothing.
        wanted = ~own
        strange = np.flatnonzero((legs["netns"] >= UNWATCHED) & (kinds == MessageKind.DESTROY))
        wanted[strange] &= self._legs.find(gather(legs, strange)) >= 0
        if not wanted.all():
            legs, kinds = gather(legs, wanted), kinds[wanted]
        touched: list[Rows] = [np.zeros(0, np.int64)]
        # A key that ends and begins again within the tick is taken in turns.
        turn = _turns(legs["key"], kinds)
        for number in range(int(turn.max()) + 1 if len(turn) else 0):
            now = turn == number
            part = (legs, kinds) if now.all() else (gather(legs, now), kinds[now])
            touched.append(self._take_turn(*part))
        return np.concatenate(touched)

    def _locate(self, legs: Records) -> NDArray[np.bool_]:
        """Fill in role, host and known; returns which legs (n,) a namespace has with itself and are to be left out."""
        inode, inside, outside = legs["netns"], legs["wire_in"], legs["wire_out"]
        family = records_of(inside)["family"]
        src = self._attribution.local(inode, family, inside[:, 0:2])
        dst = self._attribution.local(inode, family, outside[:, 2:4])
        known = self._attribution.known(inode)
        unreachable = ~src & ~dst & known & _to_many(family, outside[:, 2:4])
        legs["role"] = np.where(src, Role.SRC, np.where(dst | unreachable, Role.DST, Role.HOST))
        legs["host"] = self._attribution.hosts(inode)
        legs["known"] = known
        own: NDArray[np.bool_] = src & dst & (not self._loopback)
        return own

    def _take_turn(self, legs: Records, kinds: NDArray[Any]) -> Rows:
        """Messages in which each key begins at most once and ends after that."""
        order = np.lexsort((np.arange(len(legs)), _RANK[kinds], legs["key"]))
        first = np.r_[True, legs["key"][order][1:] != legs["key"][order][:-1]]
        last = np.r_[first[1:], True]
        began, latest = order[first], order[last]
        state = gather(legs, latest)
        state["start"], state["first"] = legs["start"][began], legs["first"][began]
        state["mark"] = np.where(state["mark"] > 0, state["mark"], legs["mark"][began])
        rows = self._legs.find(state)
        known, alive, stop = rows >= 0, self._legs.rows["alive"][rows], self._legs.rows["stop"][rows]
        again = known & ~alive & ((kinds[began] == MessageKind.NEW) | (state["start"] > stop))
        update = known & alive
        # A dump read before the end and taken after it brings nothing back; that is neither of the two.
        fresh = gather(state, ~known | again)
        changed = self._update(rows[update], gather(state, update))
        self._finish(changed)
        linked = link(self._legs, self._flows, self._legs.add(fresh), self._tick)
        self._finish(linked)
        return np.concatenate([changed, linked])

    def _update(self, rows: Rows, state: Records) -> Rows:
        """Newer figures for legs we have; returns the flows of those that changed."""
        table = self._legs.rows
        changed = ~state["alive"]
        for name in ("packets", "bytes", "reply_packets", "reply_bytes"):
            newer = np.where(state["counted"], np.maximum(state[name], table[name][rows]), table[name][rows])
            changed |= newer != table[name][rows]
            table[name][rows] = newer
        newer = np.where(state["tcp_state"] != NO_TCP_STATE, state["tcp_state"], table["tcp_state"][rows])
        changed |= newer != table["tcp_state"][rows]
        table["tcp_state"][rows] = newer
        newer = np.where(state["mark"] > 0, state["mark"], table["mark"][rows])
        remarked = newer != table["mark"][rows]
        table["mark"][rows] = newer
        changed |= state["counted"] & ~table["counted"][rows]
        table["counted"][rows] |= state["counted"]
        table["closed"][rows] = np.where(table["closed"][rows] > 0, table["closed"][rows], state["closed"])
        moved = (changed | remarked) & state["alive"]
        table["last"][rows[moved]] = np.maximum(table["last"][rows[moved]], state["last"][moved])
        table["missed"][rows] = 0
        over = rows[~state["alive"]]
        table["alive"][over] = False
        table["stop"][over] = state["stop"][~state["alive"]]
        # Figures of a leg that does not count change no row.
        flows = table["flow"][rows]
        changed &= (primary_legs(gather(self._flows.rows, flows)) == rows) | remarked
        return self._mark_dirty(flows[changed])

    def _mark_dirty(self, flows: Rows) -> Rows:
        flows = np.unique(flows[flows >= 0])
        flows = flows[~self._flows.rows["final"][flows]]
        self._flows.rows["dirty"][flows] = True
        return flows

    # -- denied packets ------------------------------------------------------------------------------------------

    def _take_denied(self, records: Records) -> Rows:
        if not len(records):
            return np.zeros(0, np.int64)
        state = together(as_connections(denied(records), self._legs, self._flows))
        own = self._locate(state)
        self._discard("loopback", int(np.count_nonzero(own)))
        state = state[~own]
        table, rows = self._legs.rows, self._legs.find(state)
        alive = (rows >= 0) & table["alive"][rows]
        over = alive & outlived(rows, state, self._legs, self._flows)
        table["alive"][rows[over]], table["stop"][rows[over]] = False, table["last"][rows[over]]
        update = alive & ~over
        held = rows[update]
        for name in ("packets", "bytes"):
            table[name][held] += state[name][update]
        table["pause"][held] = state["last"][update] - table["last"][held]
        table["last"][held], table["rule"][held] = state["last"][update], state["rule"][update]
        changed = self._mark_dirty(table["flow"][held])
        fresh = self._within_bounds(state[~update])
        return np.concatenate([changed, link(self._legs, self._flows, self._legs.add(fresh), self._tick)])

    def _within_bounds(self, attempts: Records) -> Records:
        """The new attempts that there is room for; the packets of the others are counted."""
        excess = beyond(attempts, self._legs, self._most_denied)
        self.unfollowed += int(attempts["packets"][excess].sum())
        return attempts[~excess]

    # -- ends ----------------------------------------------------------------------------------------------------

    def _note_dump(self, inode: int, started_ns: int) -> Rows:
        """Legs that a complete dump does not show, twice in a row, ended without our seeing it."""
        table = self._legs.rows
        rows = self._in_namespace(inode)
        # Older than the dump by more than a message may be late.
        rows = rows[table["first"][rows] < started_ns - 2_000_000_000]
        table["missed"][rows] += 1
        return self._end_legs(rows[table["missed"][rows] > MISSED_DUMPS], Gone.MISSING)

    def _in_namespace(self, inode: int) -> Rows:
        table = self._legs.rows
        wanted = table["used"] & table["alive"] & (table["netns"] == inode) & (table["kind"] == LegKind.TRACKED)
        return np.flatnonzero(wanted)

    def _end_legs(self, rows: Rows, why: Gone) -> Rows:
        self._legs.rows["alive"][rows] = False
        self._legs.rows["gone"][rows] = why
        return self._mark_dirty(self._legs.rows["flow"][rows])

    def _dying(self) -> Rows:
        """Flows whose leg that counts has ended while others have not."""
        flows = self._flows.rows
        return np.flatnonzero(flows["used"] & ~flows["final"] & (flows["dying"] > 0))

    def _finish(self, rows: Rows) -> None:
        """Make final those of these flows whose leg that counts has ended.

        The kernel reports the end of the other legs up to seconds later. Until it has, or `DYING_NS` are over, the row
        stays open: a run that is killed meanwhile would leave the next one an end without a beginning.
        """
        flows, legs = self._flows.rows, self._legs.rows
        rows = rows[~flows["final"][rows]]
        primary = primary_legs(gather(flows, rows))
        over = (primary >= 0) & ~legs["alive"][primary]
        since = flows["dying"][rows]
        flows["dying"][rows] = np.where(over, np.where(since > 0, since, self._now), 0)
        living = legs["used"] & legs["alive"] & (legs["kind"] == LegKind.TRACKED) & (legs["flow"] >= 0)
        alive = np.zeros(len(flows), bool)
        alive[legs["flow"][living & (legs["netns"] < UNWATCHED)]] = True
        over &= ~alive[rows] | (flows["dying"][rows] < self._now - DYING_NS)
        rows, leg = rows[over], gather(legs, primary[over])
        packet = flows["denied"][rows]
        refused = packet >= 0
        reason = np.where(leg["gone"] == Gone.MISSING, Reason.LOST, Reason.CLOSED)
        ended = np.where(leg["closed"] > 0, leg["closed"], np.where(leg["stop"] > 0, leg["stop"], leg["last"]))
        ended = np.where(refused, np.maximum(legs["last"][packet], leg["start"]), ended)
        flows["reason"][rows] = np.where(refused, Reason.DENIED, reason)
        flows["ended"][rows], flows["final"][rows], flows["dirty"][rows] = ended, True, True

    def _finish_idle(self, now_ns: int, gone: Sequence[int]) -> None:
        """A denied attempt that nothing tracks ends when no packet comes any more, or none can."""
        legs, flows = self._legs.rows, self._flows.rows
        rows = np.flatnonzero(legs["used"] & legs["alive"] & (legs["kind"] > 0))
        pause = np.minimum(legs["pause"][rows] * 2 + legs["pause"][rows] // 4, LONGEST_PAUSE_NS)
        idle = now_ns - legs["last"][rows] > np.maximum(pause, self._idle)
        rows = rows[idle | np.isin(legs["netns"][rows], np.array(gone, np.uint64))]
        flow = legs["flow"][rows]
        legs["alive"][rows] = False
        legs["stop"][rows] = legs["last"][rows]
        alone = (primary_legs(flows[flow]) < 0) & ~flows["final"][flow]
        flow, rows = flow[alone], rows[alone]
        flows["ended"][flow], flows["reason"][flow] = legs["last"][rows], Reason.DENIED
        flows["final"][flow], flows["dirty"][flow] = True, True

    # -- output --------------------------------------------------------------------------------------------------

    def _write(self, hold: bool) -> pa.Table:
        flows = self._flows.rows
        due = flows["used"] & flows["dirty"]
        if hold:
            due &= flows["born"] < self._tick
        rows = np.flatnonzero(due)
        strange = rows[~flows["known"][rows]]
        if len(strange):
            self._discard("unwatched", len(strange))
            self._drop(strange)
        rows = rows[flows["known"][rows]]
        table = self._rows.build(self._flows, self._legs, rows)
        flows["emitted"][rows], flows["dirty"][rows] = True, False
        return pa.concat_tables([table, self._resume.lost(self._round)])

    def _release(self, now_ns: int) -> None:
        """Let go of flows that are over, written and past their grace, with their legs."""
        flows, legs = self._flows.rows, self._legs.rows
        over = flows["used"] & flows["final"] & flows["emitted"] & ~flows["dirty"]
        over &= flows["ended"] < now_ns - (GRACE_NS if len(self._flows) < MANY_FLOWS else SHORT_GRACE_NS)
        if not over.any():
            return
        busy = legs["used"] & legs["alive"] & (legs["flow"] >= 0) & (legs["netns"] < UNWATCHED)
        over[legs["flow"][busy]] = False
        self._drop(np.flatnonzero(over))

    def _drop(self, rows: Rows) -> None:
        """Forget flows and their legs."""
        legs = self._legs.rows
        over = np.zeros(len(self._flows.rows), bool)
        over[rows] = True
        self._legs.release(np.flatnonzero(legs["used"] & (legs["flow"] >= 0) & over[legs["flow"]]))
        self._resume.forget(rows)
        self._flows.release(rows)

    def _discard(self, reason: str, count: int) -> None:
        if count:
            self.discarded[reason] += count
            FLOWS_DISCARDED.labels(reason=reason).inc(count)


_RANK = np.zeros(256, np.int64)
_RANK[MessageKind.DUMP], _RANK[MessageKind.DESTROY] = 1, 2


def _turns(keys: NDArray[np.uint64], kinds: NDArray[Any]) -> Rows:
    """How often each message's key had ended before it, in order of arrival; a dump after an end counts to that end."""
    if not len(keys):
        return np.zeros(0, np.int64)
    order = np.argsort(keys, kind="stable")
    ends = np.cumsum(kinds[order] == MessageKind.DESTROY) - (kinds[order] == MessageKind.DESTROY)
    first = np.r_[True, keys[order][1:] != keys[order][:-1]]
    base = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    result = np.empty(len(keys), np.int64)
    result[order] = ends - ends[base]
    return result


def _to_many(family: NDArray[Any], words: NDArray[Any]) -> NDArray[np.bool_]:
    """Multicast and limited broadcast destinations."""
    octets = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), 16)
    result: NDArray[np.bool_] = np.where(family == 2, octets[:, 0] >= 224, octets[:, 0] == 255)
    return result
