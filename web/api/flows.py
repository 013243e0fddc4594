"""The API of flows: rows, one flow, bars, edges, fields, and the live stream."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from ringfence.errors import NotFound
from ringfence.model.flow import COLUMNS
from ringfence.store.flows import SORTED
from web.api.operation import (
    CURSOR,
    FILTER,
    LIMIT,
    NUMBER,
    OBJECT,
    TEXT,
    WINDOW,
    Operation,
    Query,
    answer,
    fields,
    limit_of,
    list_of,
)
from web.comparison import compare
from web.edges import edges_of
from web.explanation import explain_flow
from web.export import plain
from web.flow_questions import bars_of, gaps_in, page_of, query_of
from web.guard import services
from web.live import Event
from web.scope import strict_scope
from web.sorting import read_order
from web.stream import CONTENT_TYPE, stream_of


def flows() -> Response:
    found = strict_scope()
    store = services().flows
    order = read_order(found.address.one("sort"), SORTED)
    cursor = request.args.get("cursor") or None
    page = page_of(store, found.window, found.bar, cursor=cursor, limit=limit_of(), order=order)
    following = {"Link": f'<{found.address.changed(cursor=page.cursor)}>; rel="next"'} if page.cursor else {}
    gaps = gaps_in(store, found.window)
    response = answer({"flows": page.rows, "cursor": page.cursor, "total": page.total, "gaps": gaps})
    response.headers.extend(following)
    return response


def flow(flow_id: str) -> Response:
    row = services().flows.get(flow_id)
    if row is None:
        raise NotFound("this flow is not stored")
    return answer(row)


def flow_explanation(flow_id: str) -> Response:
    given = services()
    row = given.flows.get(flow_id)
    if row is None:
        raise NotFound("this flow is not stored")
    return answer(explain_flow(given.state, row))


def histogram() -> Response:
    found = strict_scope()
    store = services().flows
    gaps = gaps_in(store, found.window)
    bars = bars_of(store, found.window, found.bar, gaps)
    return answer({"bucket_seconds": bars.bucket_seconds, "times": bars.times, **bars.series, "gaps": gaps})


def edges() -> Response:
    found = strict_scope()
    given = services()
    if request.args.get("compare") != "1":
        now = edges_of(given.flows, query_of(found.window, found.bar))
        body = {"edges": now.edges, "complete": now.complete, "gaps": gaps_in(given.flows, found.window)}
        return answer(body | {"before_watched": None})
    both = compare(given.state, given.flows, found.window, found.window.before, found.bar)
    body = {"edges": both.edges, "complete": both.complete, "gaps": both.gaps}
    return answer(body | {"before_watched": both.watched})


def stream() -> Response:
    return stream_of(_as_json)


def _as_json(event: Event) -> Event:
    return Event(id=event.id, name=event.name, data=plain(event.data))


def flow_fields() -> Response:
    rows = [
        {"name": item.name, "ecs": item.ecs, "type": item.type, "aliases": item.aliases, "doc": item.doc}
        for item in COLUMNS
    ]
    return answer({"fields": rows})


FLOW = {"$ref": "#/components/schemas/Flow"}
BEFORE_WATCHED = {
    "enum": ["no", "partly", "wholly", None],
    "description": "With compare: how much of the window before is on record. `no`: nothing is compared.",
}
SORT = Query(
    name="sort",
    doc=f"One of {', '.join(SORTED)}; with - before it downwards. A cursor belongs to its order.",
    schema=TEXT,
)
ASKED_TIERS = list_of(
    fields(
        tier=TEXT,
        line=NUMBER,
        ending={"enum": ["rule", "default", "passed", "skipped", "not asked"]},
        rule=TEXT | {"description": "What ended it; empty for a tier that was skipped or not asked."},
        action=TEXT,
        ended_at=NUMBER | {"description": "The line of that rule or default in the text of the revision."},
        policies=list_of(OBJECT),
        others=NUMBER | {"description": "Policies of the tier that do not select the workload."},
    )
)
WAYS = list_of(
    fields(
        direction={"enum": ["egress", "ingress"]},
        place=TEXT,
        workload=TEXT,
        judged={"type": "boolean"},
        mode={"type": ["string", "null"]},
        outcome=TEXT,
        rule=TEXT,
        line={"type": ["integer", "null"]},
        sentence=TEXT,
        kernel_rule=TEXT,
        agrees={"type": ["boolean", "null"], "description": "Whether the kernel went by the rule of this revision."},
        tiers=ASKED_TIERS,
    )
)
GAPS = list_of({"$ref": "#/components/schemas/Gap"})

OPERATIONS = (
    Operation(
        method="GET",
        path="/flows",
        name="flows",
        view=flows,
        summary="Flows, newest first or sorted; each connection once.",
        queries=(FILTER, *WINDOW, LIMIT, CURSOR, SORT),
        answer=fields(flows=list_of(FLOW), cursor={"type": ["string", "null"]}, total=NUMBER, gaps=GAPS),
        problems=(400, 422),
    ),
    Operation(
        method="GET",
        path="/flows/histogram",
        name="histogram",
        view=histogram,
        summary="Flows per bucket of time and verdict.",
        queries=(FILTER, *WINDOW),
        answer=fields(bucket_seconds=NUMBER, times=list_of(NUMBER), gaps=GAPS),
        problems=(400,),
    ),
    Operation(
        method="GET",
        path="/flows/edges",
        name="edges",
        view=edges,
        summary="Who is connected with whom, with counts and ports.",
        queries=(
            FILTER,
            *WINDOW,
            Query(name="compare", doc="1: with the window before; `change` is new, gone, more denied.", schema=TEXT),
        ),
        answer=fields(edges=list_of(OBJECT), complete={"type": "boolean"}, gaps=GAPS, before_watched=BEFORE_WATCHED),
        problems=(400,),
    ),
    Operation(
        method="GET",
        path="/flows/stream",
        name="stream",
        view=stream,
        summary="Live flows as server-sent events; resumes with Last-Event-ID, a comment every 15 s.",
        queries=(
            FILTER,
            Query(name="Last-Event-ID", doc="Id of the last event.", schema=TEXT, place="header"),
            Query(name="after", doc="The same, where a header cannot be sent.", schema=TEXT),
        ),
        answer=TEXT,
        content=CONTENT_TYPE,
        problems=(400,),
    ),
    Operation(
        method="GET",
        path="/flows/fields",
        name="flow_fields",
        view=flow_fields,
        summary="The fields of a flow: names for code, ECS names, aliases, meaning.",
        answer=fields(fields=list_of(OBJECT)),
    ),
    Operation(
        method="GET",
        path="/flows/{flow_id}",
        name="flow",
        view=flow,
        summary="One flow.",
        answer=FLOW,
        problems=(404,),
    ),
    Operation(
        method="GET",
        path="/flows/{flow_id}/explanation",
        name="flow_explanation",
        view=flow_explanation,
        summary="Why one flow has its verdict: the revision that judged it, asked again tier by tier, at both ends.",
        answer=fields(
            revision={"type": ["integer", "null"]},
            outcome=TEXT,
            rule=TEXT,
            sentence=TEXT,
            decided_by=TEXT,
            agrees={"type": ["boolean", "null"], "description": "Whether that is the staged verdict of the flow."},
            ways=WAYS,
            notes=list_of(TEXT),
        ),
        problems=(404,),
    ),
)
