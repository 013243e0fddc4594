"""Every route against every role: nothing is open that the table does not open."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.routing import Rule

from ringfence.store.state import Role
from tests.support.repository import compare
from tests.support.site import Site
from web.permissions import GRANTS, ROUTES, Permission, permitted

ARGUMENTS = {"filename": "css/tokens.css", "revision": "0", "kind": "csv"}
STREAMS = {"flows.live", "api.stream"}


def path_of(rule: Rule) -> str:
    values = {name: ARGUMENTS.get(name, "x") for name in rule.arguments}
    return str(rule.build(values, append_unknown=False)[1])  # type: ignore[index]


def test_every_route_is_in_the_table_and_nothing_else(shop: Site) -> None:
    assert {rule.endpoint for rule in shop.app.url_map.iter_rules()} == set(ROUTES)


def test_a_route_answers_to_one_kind_of_method(shop: Site) -> None:
    """So that one permission is enough for it."""
    safe = {"GET", "HEAD", "OPTIONS"}
    mixed = [rule.rule for rule in shop.app.url_map.iter_rules() if rule.methods - safe and "GET" in rule.methods]
    assert mixed == []


@pytest.mark.parametrize("role", [None, *Role])
def test_each_role_reaches_what_it_may_and_nothing_more(own_shop: Site, role: Role | None) -> None:
    wrong: list[str] = []
    for rule in own_shop.app.url_map.iter_rules():
        client = own_shop.client(role.value if role else None)
        method = "POST" if "POST" in rule.methods else "GET"
        if rule.endpoint in STREAMS and permitted(role, ROUTES[rule.endpoint]):
            method = "HEAD"
        headers = {"X-CSRFToken": own_shop.token(client, "/account" if role else "/login")}
        answer = client.open(path_of(rule), method=method, headers=headers)
        answer.close()
        refused = answer.status_code == 403 or (
            answer.status_code in (303, 401) and answer.headers.get("Location", "/login").startswith("/login")
        )
        if rule.endpoint in {"account.logout", "account.end_sessions", "account.login_submit", "account.login"}:
            continue
        if refused == permitted(role, ROUTES[rule.endpoint]):
            wrong.append(f"{method} {rule.rule} gave {answer.status_code}")
    assert wrong == []


def test_a_route_outside_of_the_table_is_refused_to_everybody(site: Site) -> None:
    site.app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert site.client("admin").get("/forgotten").status_code == 403
    assert site.client().get("/forgotten").status_code in (303, 401)


def test_auditors_change_nothing_and_only_admins_manage_users() -> None:
    changes = {Permission.QUARANTINE, Permission.EDIT_POLICY, Permission.HANDLE_FINDINGS, Permission.MANAGE_USERS}
    assert not GRANTS[Role.AUDITOR] & changes
    assert not GRANTS[Role.VIEWER] & (changes | {Permission.EXPORT})
    assert [role for role in Role if Permission.MANAGE_USERS in GRANTS[role]] == [Role.ADMIN]


def test_the_roles_are_documented(update_golden: bool) -> None:
    rows = [f"| {role.value} | {', '.join(sorted(GRANTS[role] - {Permission.PUBLIC}))} |" for role in Role]
    table = "\n".join(["| role | may |", "|---|---|", *rows])
    compare(Path("docs/web.md"), "roles", table, update=update_golden)
