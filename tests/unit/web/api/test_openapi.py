"""The OpenAPI document against the routes and against real answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import compare
from tests.support.site import Site
from web.api import OPERATIONS, VERSION
from web.api.openapi import PREFIX, document
from web.permissions import ROUTES

DOCUMENT = document(OPERATIONS, VERSION)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_of_the_api_is_in_the_document_and_nothing_else(shop: Site) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in shop.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(PREFIX)
    }
    assert {(method, path) for method, path, _ in operations()} == routes


def test_the_document_has_the_shape_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    for _, path, operation in operations():
        in_path = {item["name"] for item in operation["parameters"] if item["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert {"401", "403"} <= set(operation["responses"])
        assert all("description" in response for response in operation["responses"].values())


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(DOCUMENT)))
    assert references <= set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("path", [path for method, path, _ in operations() if method == "GET" and "{" not in path])
def test_answers_have_the_declared_fields(shop: Site, path: str) -> None:
    if path.endswith("/stream"):
        return
    operation = DOCUMENT["paths"][path]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    body = shop.client("admin").get(path).get_json()
    assert set(schema.get("properties", {})) <= set(body)


def test_the_document_is_served(shop: Site) -> None:
    assert shop.client("viewer").get(f"{PREFIX}/openapi.json").get_json()["openapi"] == "3.1.0"


def test_every_operation_is_documented(update_golden: bool) -> None:
    rows = [
        f"| `{method} {path.removeprefix(PREFIX)}` | {operation['summary']} "
        f"| {ROUTES['api.' + operation['operationId']].value} |"
        for method, path, operation in operations()
    ]
    table = "\n".join(["| operation | what | permission |", "|---|---|---|", *rows])
    compare(Path("docs/api.md"), "operations", table, update=update_golden)
