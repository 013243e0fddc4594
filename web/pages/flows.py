"""Flows: who talked to whom, and what decided it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request

from audit.report.completeness import unrecorded
from ringfence.errors import NotFound
from ringfence.store.flows import SORTED
from web import cells, export
from web.bar import FLOWS, completion
from web.download import Table, conditions_of, offer
from web.flow_questions import MOST_EXPORTED, bars_of, gaps_in, neighbours, page_of, query_of, ways_out
from web.flow_story import story_of
from web.guard import services
from web.live import Event
from web.render import page
from web.scope import scope, strict_scope
from web.sorting import read_order
from web.stream import stream_of
from web.verdicts import shown

blueprint = Blueprint("flows", __name__)


@blueprint.get("/flows")
def show() -> tuple[str, int]:
    found = scope()
    columns = cells.chosen(found.address.one("cols"))
    context: dict[str, Any] = {"columns": columns, "choices": cells.CHOICES, "story": None}
    if not found.answerable:
        return page("pages/flows.html", answered=False, **context), 400
    store = services().flows
    gaps = gaps_in(store, found.window)
    order = read_order(found.address.one("sort"), SORTED)
    answer = page_of(store, found.window, found.bar, cursor=found.address.one("cursor") or None, order=order)
    selected = found.address.one("flow")
    if selected and (row := store.get(selected)):
        context |= {"story": story_of(services().state, row), "neighbours": neighbours(store, row)}
    return page(
        "pages/flows.html",
        answered=True,
        answer=answer,
        order=order,
        gaps=gaps,
        bars=bars_of(store, found.window, found.bar, gaps),
        ways=() if answer.total else ways_out(store, found.window, found.bar),
        rows=_rows(answer.rows, columns),
        **context,
    ), 200


@blueprint.get("/flows/rows")
def rows() -> str:
    """The next page of the table, as rows."""
    found = strict_scope()
    columns = cells.chosen(found.address.one("cols"))
    order = read_order(found.address.one("sort"), SORTED)
    cursor = found.address.one("cursor") or None
    answer = page_of(services().flows, found.window, found.bar, cursor=cursor, order=order)
    return page("fragments/flow_rows.html", answer=answer, columns=columns, rows=_rows(answer.rows, columns))


@blueprint.get("/flows/panel/<flow_id>")
def panel(flow_id: str) -> str:
    """The whole story of one flow."""
    row = services().flows.get(flow_id)
    if row is None:
        raise NotFound("this flow is not stored (any more)")
    story = story_of(services().state, row)
    return page("fragments/flow_panel.html", story=story, neighbours=neighbours(services().flows, row))


@blueprint.get("/flows/suggest")
def suggest() -> Response:
    """Whether the bar is valid so far, where it is wrong, and what could come next."""
    return jsonify(completion(request.args.get("q", ""), FLOWS))


def table() -> Table:
    """Every row that matches, in the columns on screen (`cols=all`: in every one)."""
    found = strict_scope()
    store = services().flows
    order = read_order(found.address.one("sort"), SORTED)
    total = page_of(store, found.window, found.bar, limit=1).total
    notes = unrecorded(services().state, found.window.start, found.window.end)
    if total > MOST_EXPORTED:
        notes.append(f"only the first {MOST_EXPORTED} of {total} flows are in this file")
    return Table(
        what="flows",
        columns=cells.exported(found.address.one("cols")),
        rows=export.rows_of(store, query_of(found.window, found.bar, order), MOST_EXPORTED),
        count=min(total, MOST_EXPORTED),
        window=found.window,
        conditions=conditions_of(found),
        gaps=gaps_in(store, found.window),
        notes=notes,
    )


offer(blueprint, "/flows", table)


@blueprint.get("/flows/live")
def live() -> Response:
    """New rows of the table as they come, as server-sent events."""
    found = strict_scope()
    columns = cells.chosen(found.address.one("cols"))

    def render(event: Event) -> Event:
        if event.name != "flows":
            return event
        html = render_template(
            "fragments/flow_rows.html",
            rows=_rows(event.data, columns),
            columns=columns,
            answer=None,
            scope=found,
            here=found.address,
        )
        return Event(id=event.id, name=event.name, data=html)

    return stream_of(render)


def _rows(found: Iterable[Mapping[str, Any]], columns: tuple[cells.FlowColumn, ...]) -> list[dict[str, object]]:
    return [{"row": row, "shown": shown(row).value, "cells": cells.cells(row, columns)} for row in found]
