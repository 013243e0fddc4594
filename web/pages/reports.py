"""Reports: what can I hand to an auditor?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flask import Blueprint, Response, redirect, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from audit.report.catalogue import CATALOGUE, check_order
from audit.report.parameters import KEYS, WORDS
from ringfence.errors import NotFound, RingfenceError
from ringfence.model.event import EventAction
from ringfence.store.state import ReportRecord
from web.guard import actor, record, services
from web.problems import in_words, status_of
from web.render import page
from web.scope import scope, strict_scope
from web.words import in_iso

blueprint = Blueprint("reports", __name__)
RANGE = "24h"
CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "pdf": "application/pdf",
}


@blueprint.get("/reports")
def show() -> tuple[str, int]:
    found = scope(default_range=RANGE)
    return _page(), 200 if found.answerable else 400


@blueprint.post("/reports")
def make() -> AnyResponse | tuple[str, int]:
    kind = request.form.get("kind", "")
    given = {name: text for name, text in request.form.items() if name in KEYS}
    try:
        order_report(kind, given)
    except RingfenceError as error:
        return _page(error=in_words(error), kind=kind, typed=given), status_of(error)
    return redirect(scope().address.carried("/reports"), code=303)


def _page(*, error: str = "", kind: str = "", typed: Mapping[str, str] | None = None) -> str:
    """The catalogue and the history; `typed` are the parameters that were refused for a kind."""
    return page(
        "pages/reports.html",
        default_range=RANGE,
        catalogue=CATALOGUE,
        words=WORDS,
        error=error,
        typed={kind: typed or {}},
        history=services().state.reports.list(limit=100),
    )


@blueprint.get("/reports/<report_id>/<any(html, csv, json, pdf):kind>")
def download(report_id: str, kind: str) -> Response:
    return file_of(report_id, kind)


def order_report(kind: str, given: Mapping[str, str]) -> ReportRecord:
    """Order a report of the catalogue over the range, zone and filter of the request; `given` are parameters of that
    kind, and go before these.

    Raises:
        RingfenceError: the kind is not in it, or the parameters are not its own or impossible.
        Refused, WindowInvalid: as `strict_scope`.
    """
    found = strict_scope(default_range=RANGE)
    parameters = {
        "start": in_iso(found.window.start),
        "end": in_iso(found.window.end),
        "zone": str(found.zone),
        "filter": found.bar.text,
    }
    parameters |= {name: text for name, text in given.items() if text.strip()}
    check_order(kind, parameters, services().clock())
    return services().actions.make_report(kind=kind, parameters=parameters, actor=actor())


def file_of(report_id: str, kind: str) -> Response:
    """A finished report as a download; recorded first. It opens as a file, never as a page of this site."""
    found = services().state.reports.get(report_id)
    if found is None or kind not in found.files:
        raise NotFound("no such report, or not in this format")
    path = Path(found.files[kind])
    if not path.is_file():
        raise NotFound(
            "the file of this report is gone",
            hint="Make the report again: its digest will show whether it is the same.",
        )
    record(EventAction.EXPORT, f"report {found.title} as {kind}", report=found.id, digest=found.digest)
    name = f"{found.kind.replace(' ', '-')}-{found.created:%Y%m%dT%H%M%S}.{kind}"
    return send_file(path, mimetype=CONTENT_TYPES[kind], as_attachment=True, download_name=name, max_age=0)
