"""Adds up summary rows of the flow store under other keys."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Tally:
    """Sums of summary rows; `staged` counts what was not denied but would have been."""

    flows: int = 0
    denied: int = 0
    staged: int = 0
    packets: int = 0
    bytes: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        self.flows += row["flows"]
        self.denied += row["denied"]
        self.staged += row["staged_denied"]
        self.packets += row["packets"] or 0
        self.bytes += row["bytes"] or 0
        first, last = row["first_seen"], row["last_seen"]
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    @property
    def verdict(self) -> str:
        """The worst among them, in the words of the dashboard."""
        if self.denied:
            return "denied"
        return "would be denied" if self.staged else "allowed"


def total(rows: Iterable[Mapping[str, Any]]) -> Tally:
    """All rows together."""
    tally = Tally()
    for row in rows:
        tally.add(row)
    return tally


def tally_by(pairs: Iterable[tuple[Key, Mapping[str, Any]]]) -> dict[Key, Tally]:
    """Rows with the key each counts under; most flows first."""
    found: dict[Key, Tally] = {}
    for key, row in pairs:
        found.setdefault(key, Tally()).add(row)
    return dict(sorted(found.items(), key=lambda item: (-item[1].flows, str(item[0]))))


def verdict_of(row: Mapping[str, Any]) -> str:
    """One summary row's verdict where rows are grouped by `enforced` and `staged`."""
    if row["enforced"] == "denied":
        return "denied"
    if row["staged"] == "denied":
        return "would be denied"
    return "allowed" if row["enforced"] == "allowed" else "not judged"


def end_name(row: Mapping[str, Any], side: str) -> str:
    """The workload's name, or the address where no workload is known."""
    return str(row.get(f"{side}_name") or row.get(f"{side}_ip") or "outside")


def service(row: Mapping[str, Any]) -> str:
    """`tcp/5432`; the protocol alone where it has no ports."""
    port = row.get("dst_port")
    return str(row["transport"]) if port is None else f"{row['transport']}/{port}"
