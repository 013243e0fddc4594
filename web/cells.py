"""A flow as a row of cells: each value knows the filter term it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ringfence.model.flow import COLUMNS, ColumnType
from ringfence.store.flows import SORTED
from web import words

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of text; with `field` it can be filtered in and out, `link` is the page of what it names."""

    text: str
    field: str = ""
    value: str = ""
    title: str = ""
    style: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The parts of one cell. `style` is the CSS class of the cell: num, mono, wide."""

    key: str
    parts: tuple[Part, ...]
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowColumn:
    """A column of the table: how it is called, how a row fills it, and the columns of the schema that it shows."""

    key: str
    title: str
    parts: Callable[[Row], tuple[Part, ...]]
    fields: tuple[str, ...]
    style: str = ""
    sort: str = ""
    """What a click on its head sorts by; empty for nothing."""


def _endpoint(side: str) -> Callable[[Row], tuple[Part, ...]]:
    def parts(row: Row) -> tuple[Part, ...]:
        address, name = str(row[f"{side}_ip"]), row[f"{side}_name"]
        known = row[f"{side}_workload"]
        page = f"/workloads/{quote(known, safe='')}" if known else ""
        at = Part(text=address, field=f"{side}_ip", value=address, style="mono dim" if name else "mono", link=page)
        if not name:
            return (at,)
        kind = row[f"{side}_kind"] or "workload"
        return Part(text=name, field=f"{side}_name", value=name, title=f"{kind} {name}", link=page), at

    return parts


def _service(row: Row) -> tuple[Part, ...]:
    transport = str(row["transport"] or row["protocol"])
    protocol = Part(text=transport, field="transport", value=transport, style="dim")
    if row["dst_port"] is not None and row["protocol"] not in (1, 58):
        port = str(row["dst_port"])
        return Part(text=port, field="dst_port", value=port, style="mono"), protocol
    if row["icmp_type"] is not None:
        number = str(row["icmp_type"])
        return Part(text=f"type {number}", field="icmp_type", value=number), protocol
    return (protocol,)


def _rule(row: Row) -> tuple[Part, ...]:
    """The rule that decided; where none is known to have, the one that would deny it in protect."""
    if row["rule"]:
        return (Part(text=row["rule"], field="rule", value=row["rule"], title=row["sentence"] or ""),)
    staged = row["staged_rule"] if row["staged"] == "denied" else None
    if staged:
        return (Part(text=staged, field="staged_rule", value=staged, title=row["staged_sentence"] or "", style="dim"),)
    return (Part(text=words.NOTHING, style="dim"),)


def total_bytes(row: Row) -> int | None:
    """Both ways together, over the figures that are known; None when neither is."""
    known = [row[name] for name in ("src_bytes", "dst_bytes") if row[name] is not None]
    return sum(known) if known else None


def _bytes(row: Row) -> tuple[Part, ...]:
    total = total_bytes(row)
    title = f"{words.in_number(row['src_bytes'])} B sent, {words.in_number(row['dst_bytes'])} B received"
    return (Part(text=words.in_bytes(total), title=title),)


def _duration(row: Row) -> tuple[Part, ...]:
    if row["ended"] is None:
        return (Part(text="open", style="dim", title="the connection has not ended"),)
    length = row["ended"] - row["started"]
    return (Part(text=words.in_duration(length), title=f"{length.total_seconds():.6f} s"),)


def _plain(name: str, kind: ColumnType) -> Callable[[Row], tuple[Part, ...]]:
    def parts(row: Row) -> tuple[Part, ...]:
        value = row[name]
        if value is None or value == []:
            return (Part(text=words.NOTHING, style="dim"),)
        if isinstance(value, list):
            return tuple(_label(item) for item in value)
        if isinstance(value, datetime):
            return (Part(text=words.in_iso(value)),)
        style = "mono" if kind in (ColumnType.ADDRESS, ColumnType.PORT) else ""
        page = f"/workloads/{quote(value, safe='')}" if name in ("src_workload", "dst_workload") else ""
        return (Part(text=str(value), field=name, value=str(value), style=style, link=page),)

    return parts


def _label(text: str) -> Part:
    key, _, value = text.partition("=")
    return Part(text=text, field=f"label.{key}", value=value)


BUILT: tuple[FlowColumn, ...] = (
    FlowColumn(
        key="source",
        title="Source",
        parts=_endpoint("src"),
        fields=("src_name", "src_ip"),
        style="end",
        sort="src_name",
    ),
    FlowColumn(
        key="destination",
        title="Destination",
        parts=_endpoint("dst"),
        fields=("dst_name", "dst_ip"),
        style="end",
        sort="dst_name",
    ),
    FlowColumn(
        key="service", title="Service", parts=_service, fields=("transport", "dst_port", "icmp_type"), sort="dst_port"
    ),
    FlowColumn(key="bytes", title="Bytes", parts=_bytes, fields=("src_bytes", "dst_bytes"), style="num", sort="bytes"),
    FlowColumn(key="duration", title="Duration", parts=_duration, fields=("ended",), style="num"),
    FlowColumn(key="rule", title="Rule", parts=_rule, fields=("rule", "staged_rule"), style="wide"),
)
DEFAULT = tuple(column.key for column in BUILT)
ALWAYS = ("flow_id", "started", "enforced", "staged")
"""What every row shows whatever was chosen: which flow, when, and its verdict."""
EVERY = "all"
"""As `cols` of an export: every column of the schema."""
CHOICES: dict[str, FlowColumn] = {column.key: column for column in BUILT} | {
    column.name: FlowColumn(
        key=column.name,
        title=column.name.replace("_", " "),
        parts=_plain(column.name, column.type),
        fields=(column.name,),
        sort=column.name if column.name in SORTED else "",
        style="num" if column.type in (ColumnType.LONG, ColumnType.SMALL) else "",
    )
    for column in COLUMNS
    if column.name not in {"rule", "flow_id"}
}
"""Every column a person can choose: the composed ones, then every column of the schema."""


def chosen(text: str) -> tuple[FlowColumn, ...]:
    """The columns that a `cols` parameter names; unknown names are left out, none left means the default."""
    found = [CHOICES[key] for key in dict.fromkeys(text.split(",")) if key in CHOICES]
    return tuple(found) or tuple(CHOICES[key] for key in DEFAULT)


def exported(text: str) -> tuple[str, ...]:
    """The columns of the schema that are in an export of what a `cols` parameter shows, in the order of the table."""
    if text == EVERY:
        return tuple(column.name for column in COLUMNS)
    return tuple(dict.fromkeys((*ALWAYS, *(name for column in chosen(text) for name in column.fields))))


def cells(row: Row, columns: tuple[FlowColumn, ...]) -> tuple[Cell, ...]:
    return tuple(Cell(key=column.key, parts=column.parts(row), style=column.style) for column in columns)
