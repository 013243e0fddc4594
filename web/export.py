"""Exports of exactly what is shown: CSV and JSON lines, with the gaps of the window, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from audit.report.tables import looks_like_formula
from ringfence.model.gap import Gap
from ringfence.store.flows import FlowQuery, FlowReader
from web.words import in_iso

BATCH = 1_000
FORMATS = {"csv": "text/csv; charset=utf-8", "json": "application/x-ndjson; charset=utf-8"}


def rows_of(flows: FlowReader, query: FlowQuery, limit: int) -> Iterator[Mapping[str, Any]]:
    """Every row of a query, newest first, page by page, up to `limit`."""
    cursor: str | None = None
    left = limit
    while left > 0:
        page = flows.search(query, limit=min(BATCH, left), cursor=cursor)
        yield from page.rows
        left -= len(page.rows)
        cursor = page.cursor
        if cursor is None or not page.rows:
            return


def as_csv(
    rows: Iterable[Mapping[str, Any]], names: Sequence[str], gaps: Sequence[Gap], notes: Iterable[str] = ()
) -> Iterator[str]:
    """CSV lines: the columns of these names, then a comment line for each gap and each of `notes`."""
    yield _line(names)
    for row in rows:
        yield _line([cell(row[name]) for name in names])
    for line in remarks(gaps, notes):
        yield _line([f"# {line}"])


def as_json_lines(
    rows: Iterable[Mapping[str, Any]], names: Sequence[str], gaps: Sequence[Gap], notes: Iterable[str] = ()
) -> Iterator[str]:
    """One row per line, of it the columns of these names; remarks follow as objects with the key `remark`."""
    for row in rows:
        yield json.dumps({name: plain(row[name]) for name in names}) + "\n"
    for line in remarks(gaps, notes):
        yield json.dumps({"remark": line}) + "\n"


def remarks(gaps: Sequence[Gap], notes: Iterable[str]) -> Iterator[str]:
    """What a reader of the export must know: where records are missing."""
    for gap in gaps:
        lost = f"{gap.lost} records" if gap.lost is not None else "an unknown number of records"
        yield f"gap on {gap.host}, {in_iso(gap.started)} to {in_iso(gap.ended)}: {lost} missing ({gap.cause.value})"
    yield from notes


def cell(value: Any) -> str:
    """One value as text. What a spreadsheet would run as a formula gets a leading apostrophe (OWASP ASVS 1.2.10)."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return in_iso(value)
    if isinstance(value, Mapping):
        return json.dumps(plain(value), ensure_ascii=True)
    if isinstance(value, list | tuple):
        value = ";".join(str(item) for item in value)
    text = str(value)
    return f"'{text}" if looks_like_formula(text) and not isinstance(value, int | float) else text


def plain(value: Any) -> Any:
    """A row, or any value of one, as JSON has it."""
    if isinstance(value, datetime):
        return in_iso(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if isinstance(value, int | float | str | bool | type(None)) else str(value)


def _line(values: Sequence[str]) -> str:
    """Every cell is quoted: whatever a spreadsheet's locale takes for a separator, inside of one it begins none."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(values)
    return buffer.getvalue()
