"""The API of trust: gaps, hosts, enforcement; and who one is."""

from __future__ import annotations

from werkzeug.wrappers import Response

from audit.report.completeness import unrecorded
from web.api.operation import OBJECT, TEXT, WINDOW, Operation, answer, fields, list_of
from web.estate import estate_of, proofs_of, status_sentence
from web.flow_questions import gaps_if_known, gaps_in
from web.guard import services, user
from web.permissions import GRANTS
from web.scope import strict_scope


def gaps() -> Response:
    window = strict_scope(default_range="24h").window
    given = services()
    missing = unrecorded(given.state, window.start, window.end)
    return answer({"gaps": gaps_in(given.flows, window), "unrecorded": missing})


def health() -> Response:
    found = strict_scope()
    given = services()
    estate = estate_of(given.state, found.now)
    holes = gaps_if_known(given.flows, found.window)
    missing = unrecorded(given.state, found.window.start, found.window.end)
    return answer(
        {
            "sentence": status_sentence(estate, holes, missing, found.window),
            "hosts": estate.hosts,
            "stale": [host.host for host in estate.stale],
            "modes": {mode.value: count for mode, count in estate.modes.items()},
            "findings": estate.findings,
            "enforcements": proofs_of(given.state),
            "gaps": holes,
            "unrecorded": missing,
            "status": given.status(),
        }
    )


def me() -> Response:
    mine = user()
    return answer({"name": mine.name, "role": mine.role, "permissions": sorted(GRANTS[mine.role])})


OPERATIONS = (
    Operation(
        method="GET",
        path="/gaps",
        name="gaps",
        view=gaps,
        summary="Windows in which records are missing, and why else not all of the time range is on record.",
        queries=WINDOW,
        answer=fields(gaps=list_of({"$ref": "#/components/schemas/Gap"}), unrecorded=list_of(TEXT)),
        problems=(400,),
    ),
    Operation(
        method="GET",
        path="/health",
        name="health",
        view=health,
        summary="The estate in one sentence, hosts, enforcement, gaps (null: not known now), what works on a host.",
        queries=WINDOW,
        answer=OBJECT,
        problems=(400,),
    ),
    Operation(
        method="GET",
        path="/me",
        name="me",
        view=me,
        summary="Who one is, and what one may do.",
        answer=fields(name=TEXT, role=TEXT, permissions=list_of(TEXT)),
    ),
)
