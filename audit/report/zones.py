"""Puts workloads into the groups that segmentation is about: by a label, or each on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.report.posture import Posture
from ringfence.model.workload import WorkloadKind

OUTSIDE = "outside"
UNLABELLED = "(no label)"
LABELS = ("zone", "role", "tier", "app", "com.docker.compose.service")
"""Tried in this order when nobody says what to group by; the first that half of the workloads carry."""
MOST_ZONES = 40
BY_NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """`by` is the label key, or `name`; `members` are the workloads of each zone; `of` is the zone by workload id."""

    by: str
    members: Mapping[str, tuple[Posture, ...]]
    of: Mapping[str, str]
    left_out: int = 0

    def zone(self, workload: str | None) -> str:
        """`outside` for an end no workload of the window stands behind."""
        return self.of.get(workload or "", OUTSIDE)


def make_zones(postures: Sequence[Posture], group_by: str) -> Zones:
    """Group by `group_by`, or by the best of `LABELS`, or by name. At most `MOST_ZONES`, the largest ones."""
    by = group_by or _best_label(postures)
    found: dict[str, list[Posture]] = {}
    for item in postures:
        found.setdefault(_zone(item, by), []).append(item)
    kept = sorted(sorted(found, key=lambda name: (-len(found[name]), name))[:MOST_ZONES])
    members = {name: tuple(found[name]) for name in kept}
    # Every workload keeps its zone, so that what was seen is never filed under `outside` for want of space.
    of = {item.workload.id: name for name, items in found.items() for item in items}
    return Zones(by=by, members=members, of=of, left_out=len(found) - len(kept))


def _zone(item: Posture, by: str) -> str:
    if by == BY_NAME:
        return item.workload.name
    return item.workload.labels.get(by) or (
        f"host {item.workload.name}" if item.workload.kind is WorkloadKind.HOST else UNLABELLED
    )


def _best_label(postures: Sequence[Posture]) -> str:
    candidates = [item for item in postures if item.workload.kind is not WorkloadKind.HOST]
    for label in LABELS:
        if candidates and sum(label in item.workload.labels for item in candidates) * 2 >= len(candidates):
            return label
    return BY_NAME
