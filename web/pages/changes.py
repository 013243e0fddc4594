"""The stream that tells pages what changed."""

from __future__ import annotations

from flask import Blueprint, Response

from web.stream import changes_stream

blueprint = Blueprint("changes", __name__)


@blueprint.get("/changes")
def stream() -> Response:
    """One per page; `Last-Event-ID` resumes."""
    return changes_stream()
