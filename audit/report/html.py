"""A report as one HTML file that needs nothing else: no script, no picture, no address it would fetch."""

from __future__ import annotations

import base64
import hashlib
import string
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audit.report.document import Cell, Column, Document, Kind, Table
from audit.report.words import in_words, visible

FOLDER = Path(__file__).parent / "templates"
MOST_ROWS = 1000
"""Rows of one table in HTML; CSV and JSON have all of them."""
FOOTER_FILTER = 90

_PLAIN = frozenset(string.ascii_letters + string.digits)
_ICONS = {
    "allowed": "allowed",
    "denied": "denied",
    "would be denied": "staged",
    "quarantined": "quarantined",
    "not judged": "unknown",
    "pass": "pass",
    "fail": "fail",
    "not decided": "open",
}
_RIGHT = frozenset({Kind.NUMBER, Kind.BYTES, Kind.SECONDS})


def render_html(document: Document) -> str:
    """The whole page. All text is escaped; the style carries the only text inside CSS, escaped for CSS."""
    zone = ZoneInfo(document.zone)
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, finalize=_shown
    )
    environment.filters |= {
        "words": lambda cell, kind: in_words(cell, kind, zone),
        "moment": lambda moment: in_words(moment, Kind.TIME, zone),
        "icon": lambda cell: _ICONS.get(str(cell), "unknown"),
        "weight": _column_class,
    }
    style = _style(document, zone)
    page = environment.get_template("report.html").render(
        document=document,
        digest=document.digest,
        style=Markup(style),  # noqa: S704 -- our own style sheet; `_css_text` escapes the rest
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        most_rows=MOST_ROWS,
        share=_share,
        bars=_bars,
    )
    return page + "\n"


def _shown(value: Any) -> Any:
    """Every text that goes into the page; even a heading can be a label that somebody else chose."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _style(document: Document, zone: ZoneInfo) -> str:
    sheet = (FOLDER / "report.css").read_text(encoding="utf-8")
    window = f"{in_words(document.start, Kind.TIME, zone)} to {in_words(document.end, Kind.TIME, zone)} {document.zone}"
    filtered = document.filter or "no filter"
    if len(filtered) > FOOTER_FILTER:
        filtered = filtered[: FOOTER_FILTER - 1] + "…"
    lines = (f"{document.title} · {window}", f"filter: {filtered}", f"SHA-256 {document.digest}")
    return sheet.replace('"FOOTER"', _css_text(lines))


def _css_text(lines: tuple[str, ...]) -> str:
    """Lines as one CSS string in which nothing but letters and digits stands unescaped."""
    escaped = ("".join(sign if sign in _PLAIN else f"\\{ord(sign):06x}" for sign in visible(line)) for line in lines)
    return '"' + "\\00000a".join(escaped) + '"'


def _column_class(column: Column) -> str:
    return "right" if column.kind in _RIGHT else column.kind.value


def _bars(table: Table) -> dict[int, float]:
    """The largest figure of each column that has bars."""
    return {
        index: max((float(row[index]) for row in table.rows if isinstance(row[index], int | float)), default=0.0)  # type: ignore[arg-type]
        for index, column in enumerate(table.columns)
        if column.bar
    }


def _share(cell: Cell, largest: float) -> Any:
    """Per cent of the largest, at least a visible sliver for anything above nothing."""
    if not isinstance(cell, int | float) or not cell or not largest:
        return 0
    return round(max(2.0, 100 * float(cell) / largest), 1)
