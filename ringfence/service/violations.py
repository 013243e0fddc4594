"""Findings of a stream of batches: an open flow comes again with every update and still counts once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from policy_engine.judge import Judge
from ringfence.model.finding import Finding
from ringfence.model.verdict import Outcome

REMEMBERED = 200_000
"""Denied flows remembered, the latest ones."""


class Violations:
    """Remembers which flows have been counted."""

    def __init__(self, counted: Iterable[str] = ()) -> None:
        """`counted`: ids of open flows that a former run has counted."""
        self._counted: OrderedDict[str, None] = OrderedDict.fromkeys(counted)

    def find(self, judge: Judge, flows: pa.Table) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        """Findings over the judged rows that are or would be denied and were not counted before, and these flows' ids.

        They count as counted once `note` is told so: a finding that could not be kept is found again.
        """
        denied = Outcome.DENIED.value
        wrong = pc.or_kleene(pc.equal(flows.column("enforced"), denied), pc.equal(flows.column("staged"), denied))
        suspicious = flows.filter(pc.fill_null(wrong, False))
        fresh = [flow_id not in self._counted for flow_id in suspicious.column("flow_id").to_pylist()]
        if not any(fresh):
            return (), ()
        new = suspicious.filter(pa.array(fresh))
        return judge.judge(new).findings, tuple(new.column("flow_id").to_pylist())

    def note(self, flow_ids: Iterable[str]) -> None:
        """These have been counted."""
        self._counted.update(dict.fromkeys(flow_ids))
        while len(self._counted) > REMEMBERED:
            self._counted.popitem(last=False)

    def forget(self, flow_ids: Iterable[str]) -> None:
        """Nobody knows whether these were counted: count them again, once too often rather than never."""
        for flow_id in flow_ids:
            self._counted.pop(flow_id, None)
