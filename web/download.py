"""A table of a page as a file: the same rows in the same order, all pages of them; recorded before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response

from ringfence.model.event import EventAction
from ringfence.model.gap import Gap
from web import export
from web.guard import record, services
from web.scope import Scope
from web.sorting import Item, Keys
from web.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`what` it lists, as the file and the audit log call it; `rows` have a value for each of `columns`.

    `count` None: nobody knows it before the rows are read. `window` None: the list has no time range. `conditions` are
    what else selected the rows; empty ones are not recorded. `notes` is read after `rows`.
    """

    what: str
    columns: Sequence[str]
    rows: Iterable[Mapping[str, Any]]
    count: int | None = None
    window: Window | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    notes: Iterable[str] = ()


def offer(blueprint: Blueprint, path: str, table: Callable[[], Table]) -> None:
    """Give a page its files, `PATH/export.csv` and `PATH/export.json`, under the endpoint `export`."""

    def send(kind: str) -> Response:
        return _file(table(), kind)

    blueprint.add_url_rule(f"{path}/export.<any(csv, json):kind>", "export", send)


def in_columns(items: Iterable[Item], columns: Keys[Item]) -> Iterator[Mapping[str, Any]]:
    """Each item as a row of named values."""
    return ({name: value(item) for name, value in columns.items()} for item in items)


def conditions_of(found: Scope, *names: str) -> dict[str, str]:
    """The filter and these parameters of a request, as the conditions of its table."""
    return {"filter": found.bar.text} | {name: found.address.one(name) for name in names}


def _file(table: Table, kind: str) -> Response:
    detail: dict[str, Any] = {} if table.count is None else {table.what: table.count}
    name = table.what.replace(" ", "-")
    if table.window:
        start, end = table.window.start, table.window.end
        detail |= {"from": start.isoformat(), "to": end.isoformat()}
        name += f"-{start:%Y%m%dT%H%M%S}-{end:%Y%m%dT%H%M%S}"
    else:
        name += f"-{services().clock():%Y%m%dT%H%M%S}"
    detail |= {key: value for key, value in table.conditions.items() if value}
    record(EventAction.EXPORT, f"{table.what} as {kind}", **detail)
    write = export.as_csv if kind == "csv" else export.as_json_lines
    return Response(
        write(table.rows, table.columns, table.gaps, table.notes),
        content_type=export.FORMATS[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"'},
    )
