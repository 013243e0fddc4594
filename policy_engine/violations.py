"""Violations to findings: one per workload, other end and rule, with its count, its window and evidence."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from policy_engine.endpoint import Endpoint
from ringfence.model.finding import Finding, FindingKind, Severity
from ringfence.model.verdict import QUARANTINE_TIER, parse_ref

MAX_EVIDENCE = 20
MAX_ADDRESSES = 50
"""Ends without a workload that get a finding of their own, per workload, rule and batch; beyond, one stands for all."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Who did what to whom. `workload` is the source where it is one, else the destination; `peer` is the other end.

    `peer` is a workload's id or, for an end that is none, its address; None stands for many addresses.
    """

    workload: str
    workload_name: str
    peer: str | None
    peer_name: str | None
    peer_known: bool
    rule: str
    sentence: str
    staged: bool

    @classmethod
    def between(
        cls,
        source: Endpoint,
        destination: Endpoint,
        ids: tuple[str | None, str | None],
        *,
        rule: str,
        sentence: str,
        staged: bool,
    ) -> Violation | None:
        """None when neither end is a workload, and for what a quarantine drops: that is its purpose."""
        ref = parse_ref(rule)
        if ids == (None, None) or (ref is not None and ref.tier == QUARANTINE_TIER):
            return None
        ends = [(ids[0], source), (ids[1], destination)]
        (own_id, own), (peer_id, peer) = ends if ids[0] is not None else reversed(ends)
        return cls(
            workload=own_id or "",
            workload_name=own.name,
            peer=peer_id or str(peer.address or peer.name),
            peer_name=peer.name,
            peer_known=peer_id is not None,
            rule=rule,
            sentence=sentence,
            staged=staged,
        )

    @property
    def key(self) -> str:
        """Unique among open findings."""
        return f"policy:{self.workload}:{self.peer or 'many'}:{self.rule}:{'staged' if self.staged else 'enforced'}"


def violations(flows: pa.Table, inverse: Any, found: Sequence[Violation | None]) -> tuple[Finding, ...]:
    """Findings of a batch, in order of key. `found[inverse[row]]` is what row `row` violates."""
    folded = _fold(found)
    numbers: dict[str, int] = {}
    groups = np.full(len(folded), -1, dtype=np.int64)
    for index, item in enumerate(folded):
        if item is not None:
            groups[index] = numbers.setdefault(item.key, len(numbers))
    if not numbers:
        return ()
    row_groups = groups[inverse]
    rows = np.nonzero(row_groups >= 0)[0]
    rows = rows[np.argsort(row_groups[rows], kind="stable")]
    bounds = np.searchsorted(row_groups[rows], np.arange(len(numbers) + 1))
    started, seen = (flows.column(name).cast(pa.int64()).to_numpy() for name in ("started", "last_seen"))
    ids = flows.column("flow_id")
    members: dict[str, list[Violation]] = {key: [] for key in numbers}
    for item in folded:
        if item is not None:
            members[item.key].append(item)
    findings = []
    for key, number in numbers.items():
        own = rows[bounds[number] : bounds[number + 1]]
        evidence = ids.take(pa.array(own[:MAX_EVIDENCE])).to_pylist()
        window = (_time(started[own].min()), _time(seen[own].max()))
        findings.append(_finding(members[key], len(own), tuple(evidence), window))
    return tuple(sorted(findings, key=lambda item: item.key))


def _finding(
    members: Sequence[Violation], count: int, flows: tuple[str, ...], window: tuple[datetime, datetime]
) -> Finding:
    first = members[0]
    sentence = first.sentence
    others = len({item.sentence for item in members}) - 1
    if others:
        sentence = f"{sentence} (and {others} more like it)"
    seed = f"{first.key}|{window[0].isoformat()}|{flows[0]}"
    return Finding(
        id=hashlib.sha256(seed.encode()).hexdigest()[:24],
        key=first.key,
        kind=FindingKind.POLICY_VIOLATION,
        severity=_severity(first),
        sentence=sentence,
        workload=first.workload,
        workload_name=first.workload_name,
        peer=first.peer,
        peer_name=first.peer_name,
        rule=first.rule or None,
        staged=first.staged,
        count=count,
        flows=flows,
        first_seen=window[0],
        last_seen=window[1],
    )


def _severity(violation: Violation) -> Severity:
    """A rule that names the connection weighs more than a default, what was denied more than what would have been."""
    ref = parse_ref(violation.rule)
    explicit = ref is not None and ref.index >= 0
    if violation.staged:
        return Severity.MEDIUM if explicit else Severity.LOW
    return Severity.HIGH if explicit else Severity.MEDIUM


def _fold(found: Sequence[Violation | None]) -> list[Violation | None]:
    """One violation in place of many with addresses: a scan from outside is one finding, not thousands."""
    peers = {(item.workload, item.rule, item.staged, item.peer) for item in found if item and not item.peer_known}
    counts = Counter(group[:3] for group in peers)
    return [
        replace(item, peer=None, peer_name=f"{counts[group]} addresses")
        if item is not None
        and not item.peer_known
        and counts[group := (item.workload, item.rule, item.staged)] > MAX_ADDRESSES
        else item
        for item in found
    ]


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=int(microseconds))
