"""Reports: what can I hand to an auditor?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, request, send_file
from werkzeug.wrappers import Response as AnyResponse

from audit.report.catalogue import CATALOGUE
from ringfence.errors import NotFound
from ringfence.model.event import EventAction
from ringfence.store.state import ReportRecord
from web.guard import actor, record, services
from web.problems import Refused
from web.render import page
from web.scope import scope, strict_scope
from web.words import in_iso

blueprint = Blueprint("reports", __name__)
CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "pdf": "application/pdf",
}


@blueprint.get("/reports")
def show() -> tuple[str, int]:
    found = scope(default_range="24h")
    return page(
        "pages/reports.html",
        default_range="24h",
        catalogue=CATALOGUE,
        chosen=request.args.get("kind", ""),
        history=services().state.reports.list(limit=100),
    ), 200 if found.answerable else 400


@blueprint.post("/reports")
def make() -> AnyResponse:
    found = strict_scope(default_range="24h")
    order_report(request.form.get("kind", ""), found.window.start, found.window.end, found.bar.text)
    return redirect(found.address.ranged("/reports"), code=303)


@blueprint.get("/reports/<report_id>/<any(html, csv, json, pdf):kind>")
def download(report_id: str, kind: str) -> Response:
    return file_of(report_id, kind)


def order_report(kind: str, start: Any, end: Any, text: str) -> ReportRecord:
    """Order a report of the catalogue.

    Raises:
        Refused: 422 for a kind that is not in it.
    """
    if kind not in CATALOGUE:
        raise Refused(422, f"“{kind[:40]}” is no report: {', '.join(CATALOGUE)}.")
    parameters = {"start": in_iso(start), "end": in_iso(end), "filter": text}
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
