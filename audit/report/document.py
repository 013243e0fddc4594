"""A report as data: sections with facts, tables and notes. Every output format is a rendering of this and nothing else.

The digest is the SHA-256 of the canonical JSON of `content(document)`: whoever has the JSON file can compute it anew.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from audit.canonical import canonical

Cell = str | int | float | bool | datetime | None
"""One value; None is not known, or does not apply."""


class Kind(StrEnum):
    """What the cells of a column are, which decides alignment, unit and face."""

    TEXT = "text"
    NUMBER = "number"
    BYTES = "bytes"
    TIME = "time"
    SECONDS = "seconds"
    CODE = "code"
    VERDICT = "verdict"
    RESULT = "result"


class Weight(StrEnum):
    """How a note is shown."""

    NOTE = "note"
    WARNING = "warning"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`bar` draws the figure's share of the column's largest beside it, where the format can."""

    title: str
    kind: Kind = Kind.TEXT
    bar: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows have one cell per column. `empty` is the sentence that stands there when there are none."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure with its name."""

    label: str
    value: Cell
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A sentence the reader must not miss."""

    text: str
    weight: Weight = Weight.NOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One question and its answer."""

    key: str
    title: str
    text: str = ""
    notes: tuple[Note, ...] = ()
    facts: tuple[Fact, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A finished report over [start, end), with times shown in `zone`. `statement` is the answer in one line."""

    kind: str
    title: str
    statement: str
    start: datetime
    end: datetime
    zone: str
    filter: str
    created: datetime
    parameters: dict[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    sections: tuple[Section, ...]

    @property
    def digest(self) -> str:
        """Hex SHA-256 over everything in the report but the time of its making."""
        return hashlib.sha256(canonical(content(self))).hexdigest()


def content(document: Document) -> dict[str, Any]:
    """What the digest covers, as JSON values: times in UTC, figures unrounded."""
    return {
        "kind": document.kind,
        "title": document.title,
        "statement": document.statement,
        "window": {"start": _plain(document.start), "end": _plain(document.end), "zone": document.zone},
        "filter": document.filter,
        "parameters": dict(document.parameters),
        "notes": [_note(note) for note in document.notes],
        "sections": [_section(section) for section in document.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "key": section.key,
        "title": section.title,
        "text": section.text,
        "notes": [_note(note) for note in section.notes],
        "facts": [
            {"label": fact.label, "value": _plain(fact.value), "kind": fact.kind.value} for fact in section.facts
        ],
        "tables": [
            {
                "key": table.key,
                "title": table.title,
                "note": table.note if table.rows else table.empty,
                "columns": [{"title": column.title, "kind": column.kind.value} for column in table.columns],
                "rows": [[_plain(cell) for cell in row] for row in table.rows],
            }
            for table in section.tables
        ],
    }


def _note(note: Note) -> dict[str, str]:
    return {"weight": note.weight.value, "text": note.text}


def _plain(cell: Cell) -> Any:
    return cell.astimezone(UTC).isoformat() if isinstance(cell, datetime) else cell
