"""A report as one CSV file. The first cell of a line names the table it belongs to, the second what the line is.

Spreadsheets run text that looks like a formula. Every text that begins like one gets an apostrophe in front, and every
cell is quoted, so that no separator inside a cell can begin a new one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from audit.report.document import Cell, Document
from audit.report.words import visible

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "＝", "＋", "－", "＠", "|", "%")
"""First characters that some spreadsheet takes for the start of a formula, full-width forms among them."""
BYTE_ORDER_MARK = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""

Line = tuple[Cell, ...]


def render_csv(document: Document) -> str:
    """The file. Lines are `about` (name, value), then per table one `columns` line and its `row` lines.

    Times are ISO 8601 with the offset of the report's zone; figures are plain and unrounded, unknown is empty.
    """
    buffer = io.StringIO()
    zone = ZoneInfo(document.zone)
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    for line in (*_about(document), *_tables(document)):
        writer.writerow([_cell(cell, zone) for cell in line])
    return BYTE_ORDER_MARK + buffer.getvalue()


def looks_like_formula(text: str) -> bool:
    """Whether some spreadsheet may run it. Blanks in front do not make it harmless: some programs strip them."""
    return text.startswith(DANGEROUS) or text.lstrip(" \u00a0\u3000").startswith(DANGEROUS)


def _about(document: Document) -> Iterator[Line]:
    values: tuple[tuple[str, Cell], ...] = (
        ("report", document.title),
        ("result", document.statement),
        ("from", document.start),
        ("to", document.end),
        ("time zone", document.zone),
        ("filter", document.filter),
        *document.parameters.items(),
        ("made", document.created),
        ("SHA-256 of the data", document.digest),
        *(("note", note.text) for note in document.notes),
    )
    for name, value in values:
        yield "report", "about", name, value
    for section in document.sections:
        for fact in section.facts:
            yield section.key, "about", fact.label, fact.value
        for note in section.notes:
            yield section.key, "about", "note", note.text


def _tables(document: Document) -> Iterator[Line]:
    for section in document.sections:
        for table in section.tables:
            key = f"{section.key}/{table.key}"
            yield key, "columns", *(column.title for column in table.columns)
            for row in table.rows:
                yield key, "row", *row
            if not table.rows:
                yield key, "empty", table.empty


def _cell(cell: Cell, zone: ZoneInfo) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(zone).isoformat(timespec="microseconds")
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int | float):
        return str(cell)
    return "'" + visible(cell) if looks_like_formula(cell) else visible(cell)
