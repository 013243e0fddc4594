"""Errors as people and programs read them: an honest page, or RFC 9457 problem details under `/api/`."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, json, make_response, redirect, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from ringfence.errors import (
    AuditUnavailable,
    Conflict,
    FilterInvalid,
    NotFound,
    NotPermitted,
    PolicyInvalid,
    QueryInvalid,
    RingfenceError,
    StoreUnavailable,
)
from ringfence.log import logger
from web.address import local_path
from web.window import WindowInvalid

PROBLEM_JSON = "application/problem+json"

STATUS: tuple[tuple[type[RingfenceError], int], ...] = (
    (FilterInvalid, 400),
    (QueryInvalid, 400),
    (WindowInvalid, 400),
    (PolicyInvalid, 422),
    (Conflict, 409),
    (NotFound, 404),
    (NotPermitted, 403),
    (AuditUnavailable, 503),
    (StoreUnavailable, 503),
    (RingfenceError, 422),
)

SENTENCES = {
    400: "The request cannot be understood.",
    404: "There is nothing at this address.",
    405: "This address does not answer to this method.",
    413: "That is too large.",
    429: "Too many attempts. Wait a few minutes.",
    500: "Something failed on our side. It was logged; what was stored before is untouched.",
}

_log = logger("web")


class Refused(Exception):
    """An answer with this status instead of the one asked for; `hint` says what to do about it."""

    def __init__(self, status: int, sentence: str, *, hint: str = "", **detail: Any) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.hint = hint
        self.detail = detail


def install(app: Flask) -> None:
    """Answer every error of an application in the way its reader expects."""

    @app.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        if error.status == 401 and not for_program() and not _loses_a_form():
            return _to_login()
        return answer(error.status, error.sentence, error.hint, **error.detail)

    @app.errorhandler(RingfenceError)
    def ours(error: RingfenceError) -> Response:
        return answer(status_of(error), str(error), error.hint, **detail_of(error))

    @app.errorhandler(CSRFError)
    def forged(error: CSRFError) -> Response:
        return answer(400, "This form has expired or came from elsewhere. Go back, reload and try again.")

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        response = answer(status, SENTENCES.get(status, error.description or HTTPStatus(status).phrase))
        response.headers.extend(
            [(name, value) for name, value in error.get_headers() if name in {"Allow", "Retry-After"}]
        )
        return response

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> Response:
        _log.error("request failed", rule=str(request.url_rule), endpoint=request.endpoint, exc_info=error)
        return answer(500, SENTENCES[500])


def status_of(error: RingfenceError) -> int:
    return next(status for kind, status in STATUS if isinstance(error, kind))


def in_words(error: RingfenceError) -> str:
    """The error and what to do about it, above a form that keeps what was typed."""
    return f"{error}. {error.hint}".rstrip(". ") + "." if error.hint else str(error)


def detail_of(error: RingfenceError) -> dict[str, Any]:
    """The parts of an error that a program acts on."""
    if isinstance(error, PolicyInvalid):
        return {"problems": problem_rows(error)}
    if isinstance(error, FilterInvalid):
        return {"offset": error.offset, "expected": list(error.expected)}
    return {}


def problem_rows(error: PolicyInvalid) -> Sequence[dict[str, Any]]:
    return [{"line": item.line, "path": item.path, "message": item.message} for item in error.problems]


def for_program() -> bool:
    """Whether a program reads the answer: one that waits for a stream cannot show a login page."""
    stream = request.headers.get("Accept") == "text/event-stream"
    return stream or request.path.startswith(("/api/", "/metrics", "/healthz", "/readyz"))


def answer(status: int, sentence: str, hint: str = "", **detail: Any) -> Response:
    """The error as problem details, as a fragment or as a page."""
    title = HTTPStatus(status).phrase
    if for_program():
        body = {"type": "about:blank", "title": title, "status": status, "detail": sentence, **detail}
        if hint:
            body["hint"] = hint
        response = Response(json.dumps(body), status=status, content_type=PROBLEM_JSON)
        if status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        return response
    template = "fragments/error.html" if request.headers.get("HX-Request") else "pages/error.html"
    return make_response(render_template(template, status=status, title=title, sentence=sentence, hint=hint), status)


def _loses_a_form() -> bool:
    """Whether somebody has to be told that what they sent was not done; who signs out wants nothing else."""
    return request.method == "POST" and "HX-Request" not in request.headers and request.endpoint != "account.logout"


def _page_of_fragment() -> str:
    try:
        asked = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:  # such as `http://[`
        return "/"
    return local_path(asked._replace(scheme="", netloc="").geturl())


def _to_login() -> Response:
    """To the login page, and from there back to the page that was open."""
    fragment = bool(request.headers.get("HX-Request"))
    asked = request.full_path.rstrip("?") if request.method == "GET" else "/"
    target = _page_of_fragment() if fragment else asked
    address = "/login" if target == "/" else "/login?" + urlencode({"next": target})
    if fragment:
        response = make_response("", 401)
        response.headers["HX-Redirect"] = address
        return response
    return make_response(redirect(address, code=303))
