"""Errors as people and programs read them."""

from __future__ import annotations

import re

import pytest
from werkzeug.routing import Rule

from ringfence.errors import NotFound, RingfenceError, StoreUnavailable
from ringfence.store.rows import encode_key
from tests.support.site import Site
from web.api import BY_ENDPOINT
from web.problems import PROBLEM_JSON, SENTENCES, STATUS, in_words

STREAMS = {"flows.live", "api.stream", "changes.stream"}


def path_of(rule: Rule) -> str:
    return re.sub(r"<any[^>]+>", "csv", re.sub(r"<int[^>]*>", "1", re.sub(r"<(?!any|int)[^>]+>", "x", rule.rule)))


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


def test_a_page_that_waits_for_a_stream_is_not_sent_to_a_login_that_it_cannot_show(shop: Site) -> None:
    assert shop.client().get("/changes", headers={"Accept": "text/event-stream"}).status_code == 401


def test_an_anonymous_person_is_taken_to_the_login_and_back(shop: Site) -> None:
    answer = shop.client().get("/flows?q=a:+1")
    assert answer.headers["Location"] == "/login?next=%2Fflows%3Fq%3Da%3A%2B1"


def test_a_fragment_tells_the_browser_to_go_to_the_login(shop: Site) -> None:
    answer = shop.client().get("/flows/rows", headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == "/login"


def test_a_fragment_that_fails_says_why_and_is_no_page(shop: Site) -> None:
    answer = shop.client("viewer").get("/flows/panel/gone", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert answer.text.startswith("<div")
    assert "<span data-sentence>This flow is not stored (any more)</span>" in answer.text


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


LONG = "9" * 5_000
HOSTILE: dict[str, dict[str, object]] = {
    "before the years": {"from": "0001-01-01T00:00Z", "to": "0001-01-02", "tz": "America/New_York"},
    "after the years": {"from": "9999-12-31T10:00Z", "to": "9999-12-31T23:59Z", "tz": "Asia/Tokyo"},
    "only an end": {"to": "0001-01-01T00:00"},
    "the first moment, compared": {"from": "1970-01-01T00:00Z", "to": "1971-01-01T00:00Z", "compare": "1"},
    "the last moment": {"from": "2261-12-31T00:00Z", "to": "2261-12-31T23:59Z", "tz": "Asia/Tokyo", "compare": "1"},
    "numbers as times": {"from": "-1", "to": LONG, "tz": LONG},
    "a strange zone": {"range": "7d", "tz": "../../etc/passwd\0"},
    "a strange range": {"range": "\ud7ff\0' OR 1=1"},
    "a deep filter": {"q": "(" * 5_000 + ")" * 5_000, "off": "not " * 2_000},
    "a strange filter": {"q": "src_ip: 999.1.1.1/77 or dst_port: 99999999999999999999-1 or \0", "off": ["\0", ":"]},
    "rows by cursor": {"cursor": f"{LONG}_x", "limit": LONG, "offset": LONG, "page": LONG, "cols": LONG, "flow": "\0"},
    "other cursors": {
        "cursor": "-62135596800000001_\0",
        "limit": "-1",
        "offset": "-1",
        "edge": "\0>\0",
        "by": "label.",
    },
    "too many digits": {"revision": LONG, "line": LONG, "from_revision": LONG, "limit": "0000001" + "0" * 5_000},
    "too large for a store": {
        "revision": str(2**63),
        "line": str(-(2**63) - 1),
        "cursor": str(2**63),
        "offset": "999999",
    },
    "names nobody has": dict.fromkeys(("state", "severity", "action", "actor", "text", "name"), "\x00\u202e%s{{7*7}}"),
}
HOSTILE |= {
    f"sorted by {column}, after {name}": {"sort": column, "cursor": encode_key(value, flow_id)}
    for column, value in (("-bytes", 5), ("started", 5), ("dst_port", 5), ("src_name", "a"))
    for name, value, flow_id in (
        ("half a character", value, "\ud800"),
        ("half a name", "\udc00", "x"),
        ("nothing", "\0", "\0"),
        ("too large a number", 2**63, "x"),
        ("the largest number", 2**63 - 1, "x"),
        ("the smallest number", -(2**63), "x"),
    )
}
PATH_VALUES = ("9" * 20, str(2**63), LONG, "%00", "..%5c..", "x" * 3_000)


def understood(rule: Rule, query: dict[str, object]) -> dict[str, object]:
    """The API refuses what it does not declare: of a query what it would look at."""
    operation = BY_ENDPOINT.get(rule.endpoint)
    return (
        {name: value for name, value in query.items() if name in {item.name for item in operation.queries}}
        if operation
        else query
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_query_makes_a_page_fail(shop: Site, hostile: str) -> None:
    client = shop.client("admin")
    failed = []
    for rule in shop.app.url_map.iter_rules():
        if "GET" not in rule.methods or rule.endpoint in {"static", "api.audit_verify"}:
            continue
        path = path_of(rule)
        method = "HEAD" if rule.endpoint in STREAMS else "GET"
        answer = client.open(path, method=method, query_string=understood(rule, HOSTILE[hostile]))
        answer.close()
        if answer.status_code >= 500:
            failed.append(f"{path} gave {answer.status_code}")
    assert failed == []


def test_no_path_makes_a_page_fail(shop: Site) -> None:
    client = shop.client("admin")
    failed = []
    for rule in shop.app.url_map.iter_rules():
        if "GET" not in rule.methods or not rule.arguments or rule.endpoint == "static":
            continue
        for value in PATH_VALUES:
            path = re.sub(r"<[^>]+>", value, rule.rule)
            answer = client.get(path)
            answer.close()
            if answer.status_code >= 500:
                failed.append(f"{path[:80]} gave {answer.status_code}")
    assert failed == []


def test_a_fragment_leads_back_to_the_page_that_was_open(shop: Site) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/flows?q=verdict:+denied&flow=f1"}
    answer = shop.app.test_client().get("/flows/panel/f1", headers=headers)
    assert answer.headers["HX-Redirect"] == "/login?next=%2Fflows%3Fq%3Dverdict%3A%2Bdenied%26flow%3Df1"
    for elsewhere in ("http://localhost//evil.example/x", "http://["):
        lost = shop.app.test_client().get("/flows/panel/f1", headers=headers | {"HX-Current-URL": elsewhere})
        assert lost.headers["HX-Redirect"] == "/login"


def test_who_signs_out_twice_is_at_the_login(shop: Site) -> None:
    answer = shop.app.test_client().post("/logout")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")


def test_who_was_signed_out_meanwhile_is_told_that_nothing_was_changed(own_shop: Site) -> None:
    answer = own_shop.app.test_client().post("/policies/apply", data={"text": "# mine", "reason": "try"})
    assert answer.status_code == 401
    assert "You are not signed in: nothing was changed." in answer.text
    assert 'href="/login"' in answer.text
    assert own_shop.state.policies.current().revision == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotFound("no such thing"), "no such thing"),
        (NotFound("it is gone", hint="Make it again."), "it is gone. Make it again."),
    ],
    ids=["plain", "with a hint"],
)
def test_an_error_above_a_form_says_what_to_do(error: NotFound, words: str) -> None:
    assert in_words(error) == words
