"""Operations: bodies, limits, plain JSON."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from ringfence.errors import QueryInvalid
from ringfence.model.quarantine import Check, ControlledAccess
from ringfence.model.verdict import Direction
from tests.support.site import Site
from web.api import OPERATIONS
from web.api.operation import Operation, as_plain, fields, read_position


def test_values_of_the_model_become_plain_json() -> None:
    from ringfence.model.policy import Service

    access = ControlledAccess(
        direction=Direction.INGRESS, network=ip_network("10.0.0.0/8"), service=Service(protocol=6)
    )
    plain = as_plain((access, Check(name="a", passed=True, detail="")))
    assert plain[0]["network"] == "10.0.0.0/8"
    assert plain[0]["direction"] == "ingress"
    assert plain[1] == {"name": "a", "passed": True, "detail": ""}


@pytest.mark.parametrize("text", ["", "x", "17", "17_", "17_a\0b", "_a"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(QueryInvalid, match="cursor"):
        read_position(text)
    assert read_position("17_a")[1] == "a"


def test_a_path_becomes_a_route() -> None:
    item = Operation(
        method="GET", path="/a/{revision}/{x}", name="a", view=lambda: "", summary="", answer=fields(("a",), a={})
    )
    assert item.rule == "/a/<int:revision>/<x>"
    assert item.answer["required"] == ["a"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": "x"}, 415),
        ({"json": [1]}, 400),
        ({"json": {"text": 5}}, 422),
        ({"json": {"texts": ""}}, 422),
        ({"json": {}}, 422),
        ({"json": {"text": "a\0b"}}, 422),
        ({"json": {"text": "a\x1bb"}}, 422),
        ({"json": {"text": "a\ud800b"}}, 422),
        ({"data": "{", "content_type": "application/json"}, 400),
    ],
    ids=str,
)
def test_a_body_that_is_not_what_was_asked_for_is_refused(site: Site, options: dict[str, object], status: int) -> None:
    client = site.client("admin")
    headers = {"X-CSRFToken": site.token(client)}
    answer = client.post("/api/v1/policies/check", headers=headers, **options)
    assert answer.status_code == status
    assert answer.get_json()["status"] == status


def test_a_text_in_a_body_keeps_tabs_and_line_breaks_and_no_other_control_character_however_deep(site: Site) -> None:
    client = site.client("admin")
    headers = {"X-CSRFToken": site.token(client)}
    checked = client.post("/api/v1/policies/check", json={"text": "version: 1\r\n#\ttab\n"}, headers=headers)
    assert (checked.status_code, checked.get_json()["valid"]) == (200, True)
    deep: list[object] = ["a\ud800"]
    for _ in range(200):
        deep = [{"in": deep}]
    answer = client.post("/api/v1/quarantines", json={"workload": "w", "access": deep}, headers=headers)
    assert answer.status_code == 422
    assert answer.get_json()["detail"].startswith("access has control characters")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "²", "9" * 40, "0000001" + "0" * 5000, "0" * 9 + "1000000"])
def test_a_limit_out_of_bounds_is_refused(shop: Site, limit: str) -> None:
    assert shop.client("viewer").get("/api/v1/flows", query_string={"limit": limit}).status_code == 422


def test_a_parameter_that_is_not_declared_is_refused(shop: Site) -> None:
    client = shop.client("admin")
    for operation in OPERATIONS:
        if operation.method == "GET" and operation.name != "stream":
            path = "/api/v1" + operation.path.replace("{revision}", "1").replace("{", "").replace("}", "")
            answer = client.get(path, query_string={"colour": "red"})
            assert answer.status_code == 422, path
            assert "Unknown parameter 'colour'" in answer.get_json()["detail"]
