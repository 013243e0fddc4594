"""For machines that watch this one: alive, ready, metrics."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, jsonify

from ringfence import metrics
from ringfence.errors import RingfenceError
from web.guard import services

blueprint = Blueprint("probes", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    return jsonify({"status": "alive"})


@blueprint.get("/readyz")
def ready() -> tuple[Response, int]:
    """503 while a store does not answer or a loop of the service does not go on; says which, and nothing else."""
    given = services()
    now = given.clock()
    away = []
    for name, ask in (
        ("state store", given.state.policies.current),
        ("flow store", lambda: given.flows.gaps(now - timedelta(seconds=1), now)),
    ):
        try:
            ask()
        except RingfenceError:
            away.append(name)
    stalled = list(given.stalled())
    if away or stalled:
        found = {"away": away, "stalled": stalled}
        return jsonify({"status": "not ready"} | {key: names for key, names in found.items() if names}), 503
    return jsonify({"status": "ready"}), 200


def exposition() -> Response:
    return Response(metrics.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


blueprint.add_url_rule("/metrics", "metrics", exposition)
