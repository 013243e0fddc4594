"""The JSON API under `/api/v1`: the same answers as the pages, declared once for routes and OpenAPI."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from web.api import audit, findings, flows, health, policies, quarantines, reports, users, workloads
from web.api.openapi import PREFIX, document
from web.api.operation import OBJECT, Operation

VERSION = "1"


def _openapi() -> Response:
    return jsonify(document(OPERATIONS, VERSION))


OPERATIONS: tuple[Operation, ...] = (
    *flows.OPERATIONS,
    *workloads.OPERATIONS,
    *policies.OPERATIONS,
    *findings.OPERATIONS,
    *quarantines.OPERATIONS,
    *reports.OPERATIONS,
    *audit.OPERATIONS,
    *users.OPERATIONS,
    *health.OPERATIONS,
    Operation(
        method="GET", path="/openapi.json", name="openapi", view=_openapi, summary="This document.", answer=OBJECT
    ),
)

BY_ENDPOINT = {f"api.{operation.name}": operation for operation in OPERATIONS}

blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
for _operation in OPERATIONS:
    blueprint.add_url_rule(_operation.rule, _operation.name, _operation.view, methods=[_operation.method])


@blueprint.before_request
def _check_parameters() -> None:
    BY_ENDPOINT[request.endpoint or ""].check(request.args)
