"""Errors as people and programs read them."""

from __future__ import annotations

import pytest

from ringfence.errors import NotFound, RingfenceError, StoreUnavailable
from tests.support.site import Site
from web.problems import PROBLEM_JSON, SENTENCES, STATUS


def failing(site: Site, error: Exception) -> str:
    def view() -> str:
        raise error

    site.app.view_functions["overview.show"] = view
    site.app.view_functions["api.me"] = view
    return ""


def test_a_program_gets_problem_details(shop: Site) -> None:
    answer = shop.client("admin").get("/api/v1/flows?q=dst_prt:+5")
    assert answer.status_code == 400
    assert answer.content_type == PROBLEM_JSON
    body = answer.get_json()
    assert body["status"] == 400
    assert body["offset"] == 0
    assert "dst_port" in body["expected"]


def test_an_anonymous_program_is_told_how_to_sign_in(shop: Site) -> None:
    answer = shop.client().get("/api/v1/flows")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_an_anonymous_person_is_taken_to_the_login_and_back(shop: Site) -> None:
    answer = shop.client().get("/flows?q=a:+1")
    assert answer.headers["Location"] == "/login?next=%2Fflows%3Fq%3Da%3A%2B1"


def test_a_fragment_tells_the_browser_to_go_to_the_login(shop: Site) -> None:
    answer = shop.client().get("/flows/rows", headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == "/login"


def test_an_unknown_address_is_an_honest_page(shop: Site) -> None:
    answer = shop.client("viewer").get("/nothing")
    assert answer.status_code == 404
    assert "nothing at this address" in answer.text


def test_a_wrong_method_names_the_right_ones(shop: Site) -> None:
    answer = shop.client("viewer").delete("/api/v1/flows")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/api/v1/me"])
def test_an_unforeseen_failure_says_nothing_of_the_inside(site: Site, path: str) -> None:
    failing(site, RuntimeError("secret detail"))
    answer = site.client("admin").get(path)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert SENTENCES[500].split(".")[0] in answer.text


def test_a_store_that_is_away_is_said_to_be_away(site: Site) -> None:
    failing(site, StoreUnavailable("the flow store did not answer", hint="it is tried again"))
    answer = site.client("admin").get("/")
    assert answer.status_code == 503
    assert "did not answer" in answer.text
    assert "tried again" in answer.text


def test_every_named_error_has_a_status() -> None:
    assert all(any(issubclass(kind, known) for known, _ in STATUS) for kind in (NotFound, RingfenceError))
