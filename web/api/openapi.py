"""The OpenAPI 3.1 document, made from the operations and the model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from ringfence.model.finding import Finding
from ringfence.model.flow import COLUMNS, ColumnType
from ringfence.model.gap import Gap
from ringfence.model.quarantine import Quarantine
from ringfence.model.workload import Workload
from web.api.operation import Operation, Schema
from web.permissions import ROUTES
from web.problems import PROBLEM_JSON

PREFIX = "/api/v1"
TYPES: dict[ColumnType, Schema] = {
    ColumnType.KEYWORD: {"type": ["string", "null"]},
    ColumnType.TEXT: {"type": ["string", "null"]},
    ColumnType.LABELS: {"type": ["array", "null"], "items": {"type": "string"}},
    ColumnType.ADDRESS: {"type": ["string", "null"]},
    ColumnType.PORT: {"type": ["integer", "null"]},
    ColumnType.SMALL: {"type": ["integer", "null"]},
    ColumnType.LONG: {"type": ["integer", "null"]},
    ColumnType.TIME: {"type": ["string", "null"], "format": "date-time"},
}
PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for a person."},
        "hint": {"type": "string", "description": "What to do about it."},
        "offset": {"type": "integer", "description": "Invalid filter: the character."},
        "expected": {"type": "array", "items": {"type": "string"}},
        "problems": {"type": "array", "items": {"type": "object"}, "description": "Invalid policy: all of them."},
    },
}


def document(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for item in operations:
        paths.setdefault(PREFIX + item.path, {})[item.method.lower()] = _operation(item)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Ringfence",
            "version": version,
            "summary": "Security, visibility and audit for container networks",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "ringfence"},
            },
            "schemas": {
                "Flow": _flow(),
                "Problem": PROBLEM,
                **{kind.__name__: _model(kind) for kind in (Finding, Gap, Quarantine, Workload)},
            },
        },
    }


def _operation(item: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer" if name == "revision" else "string"},
        }
        for name in re.findall(r"{(\w+)}", item.path)
    ]
    parameters += [
        {"name": one.name, "in": one.place, "required": one.required, "description": one.doc, "schema": one.schema}
        for one in item.queries
    ]
    responses: dict[str, Any] = {
        str(item.status): {"description": "Success.", "content": {item.content: {"schema": item.answer}}}
    }
    for status in sorted({401, 403, 422, *item.problems}):
        schema = {"$ref": "#/components/schemas/Problem"}
        responses[str(status)] = {"description": "Problem.", "content": {PROBLEM_JSON: {"schema": schema}}}
    made: dict[str, Any] = {
        "operationId": item.name,
        "summary": item.summary,
        "description": f"Needs the permission “{ROUTES[f'api.{item.name}'].value}”.",
        "parameters": parameters,
        "responses": responses,
    }
    if item.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": item.body}}}
    return made


def _flow() -> Schema:
    properties = {column.name: TYPES[column.type] | {"description": column.doc} for column in COLUMNS}
    return {"type": "object", "properties": properties, "required": [column.name for column in COLUMNS]}


def _model(kind: Any) -> Schema:
    """A value of the model: its fields; their types are those of JSON."""
    properties: dict[str, Schema] = {item.name: {} for item in dataclasses.fields(kind)}
    return {"type": "object", "description": (kind.__doc__ or "").strip(), "properties": properties}
