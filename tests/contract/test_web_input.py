"""The web over SQLite and a real PostgreSQL: what no store can hold is refused in the same way by both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from ringfence.store.state import Role
from tests.support.site import Site
from web.api import OPERATIONS
from web.api_tokens import create_api_token

NUL, HALF = "a\0b", "a\ud800b"
SENTENCE = "scans the database"


@pytest.fixture
def site(target: str | Path, tmp_path: Path) -> Iterator[Site]:
    settings = {} if isinstance(target, Path) else {"store.state": target}
    with Site(tmp_path, demo=True, settings=settings) as made:
        yield made


@pytest.fixture
def program(site: Site) -> FlaskClient:
    """Sends the token of an administrator."""
    client = site.app.test_client()
    admin = site.state.users.get(Role.ADMIN.value)
    assert admin is not None
    token = create_api_token(site.state, admin, site.clock())
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_a_path_with_a_nul_is_no_address(site: Site, program: FlaskClient) -> None:
    admin = site.client("admin")
    rules = [rule for rule in site.app.url_map.iter_rules() if rule.arguments and rule.endpoint != "static"]
    assert len(rules) > 15
    for rule in rules:
        path = re.sub("<[^>]+>", "a%00b", rule.rule)
        for method in (rule.methods or set()) & {"GET", "POST", "DELETE"}:
            for client in (admin, program):
                assert client.open(path, method=method).status_code == 404, (method, path)


def test_a_parameter_with_a_nul_is_answered_or_refused(program: FlaskClient) -> None:
    for operation in OPERATIONS:
        if operation.method != "GET" or "{" in operation.path or operation.content == "text/event-stream":
            continue
        for query in operation.queries:
            values = [NUL, f"1_{NUL}", f"high_1_{NUL}", f'source.name: "{NUL}"']
            for value in values if query.place == "query" else ():
                answer = program.get(f"/api/v1{operation.path}", query_string={query.name: value})
                assert answer.status_code < 500, (operation.path, query.name, value, answer.text)


@pytest.mark.parametrize("text", [NUL, HALF], ids=["NUL", "half a character"])
def test_an_order_with_it_is_refused_and_nothing_is_recorded_as_done(
    site: Site, program: FlaskClient, text: str
) -> None:
    db, coupon = site.workloads()["db"].id, site.state.quarantines.active()[0].id
    finding = site.state.findings.list()[0].id
    order = {"workload": db, "reason": SENTENCE, "duration": "1h"}
    bodies: list[tuple[str, dict[str, Any]]] = [
        *(("/quarantines", order | {name: text}) for name in order),
        ("/quarantines", order | {"access": [text]}),
        ("/quarantines/plan", {"workload": text}),
        (f"/quarantines/{coupon}/release", {"reason": SENTENCE + text}),
        ("/policies", {"text": "version: 1\n", "reason": SENTENCE + text}),
        ("/policies", {"text": f"version: 1\n# {text}\n", "reason": SENTENCE}),
        ("/policies/check", {"text": f"version: 1\n# {text}\n"}),
        (f"/findings/{finding}", {"change": text}),
        (f"/findings/{finding}", {"change": "suppress", "duration": text}),
        ("/reports", {"kind": text}),
        ("/reports", {"kind": "segmentation", "scope": text}),
        ("/reports", {"kind": "segmentation", "group_by": text}),
    ]
    before = site.audit.page().records
    for path, body in bodies:
        answer = program.post(f"/api/v1{path}", json=body)
        assert answer.status_code == 422, (path, body, answer.text)
    done = [item.event for item in site.audit.page().records[: -len(before)] if item.event.outcome == "success"]
    assert not done
    assert site.state.policies.current().revision == 2
    assert [item.id for item in site.state.quarantines.active()] == [coupon]
    admin = site.client("admin")
    for page in ("/reports", "/audit", "/audit/export.csv", "/audit/export.json"):
        answer = admin.get(page)
        assert (answer.status_code, bool(answer.text)) == (200, True), page


def test_nobody_signs_in_with_it(site: Site) -> None:
    client = site.client()
    form = {"name": NUL, "password": "x"}
    assert site.post(client, "/login", form, page="/login").status_code == 401
