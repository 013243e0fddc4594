"""Policies."""

from __future__ import annotations

from ringfence.demo.shop import POLICY
from tests.support.site import Site

WRONG = POLICY.replace("action: allow", "action: alow", 1)


def test_the_tiers_with_their_hits_and_the_history(shop: Site) -> None:
    text = shop.client("viewer").get("/policies").text
    for word in (
        "application",
        "The API and the batch job use the database",
        "first policy, in monitor",
        "contain-scan",
    ):
        assert word in text


def test_how_far_the_policy_has_come_stands_on_the_page_and_alone(own_shop: Site) -> None:
    client = own_shop.client("viewer")
    text, alone = client.get("/policies?applied=2").text, client.get("/policies/rollout").text
    for found in (text, alone):
        assert "Revision 2: in force on 11 of 12 workloads, 1 partial" in found
        assert f'<a href="/workloads/{own_shop.workloads()["mail"].id}">mail</a>' in found
        assert "(the IPv6 rules could not be written)" in found
        assert 'data-follow="enforcement" data-refresh-from="/policies/rollout"' in found
    assert "Revision 2 is applied" in text
    assert "<html" not in alone


def test_a_check_lists_every_problem_with_its_line(shop: Site) -> None:
    text = shop.post(shop.client("operator"), "/policies/check", {"text": WRONG.replace("\n", "\r\n")}).text
    line = WRONG.splitlines().index(next(row for row in WRONG.splitlines() if "alow" in row)) + 1
    assert f'data-line="{line}"' in text


def test_a_check_of_a_valid_draft_says_what_it_opens_and_closes(shop: Site) -> None:
    draft = POLICY.replace("role in {'api', 'batch'}", "role in {'api'}").split("\nassert:")[0]
    text = shop.post(shop.client("operator"), "/policies/check", {"text": draft}).text
    assert "may no longer" in text
    assert "batch → db" in text


def test_what_a_change_would_do_to_recorded_traffic_says_what_was_not_recorded(shop: Site, site: Site) -> None:
    text = shop.post(shop.client("operator"), "/policies/check", {"text": POLICY.replace("count: 5", "count: 9")}).text
    assert "No recorded connection would be judged differently" in text
    assert "2 gaps in these days" in text
    assert "No connection was recorded" in site.post(site.client("operator"), "/policies/check", {"text": POLICY}).text


def test_apply_asks_for_a_reason_and_keeps_the_draft(own_shop: Site) -> None:
    client = own_shop.client("operator")
    answer = own_shop.post(client, "/policies/apply", {"text": "# mine", "reason": "", "expected": "2"})
    assert answer.status_code == 422
    assert "# mine" in answer.text


def test_an_invalid_policy_is_refused_whole(own_shop: Site) -> None:
    form = {"text": WRONG, "reason": "try", "expected": "2"}
    answer = own_shop.post(own_shop.client("operator"), "/policies/apply", form)
    assert answer.status_code == 422
    assert own_shop.state.policies.current().revision == 2


def test_somebody_else_was_faster(own_shop: Site) -> None:
    form = {"text": "# mine", "reason": "try", "expected": "1"}
    answer = own_shop.post(own_shop.client("operator"), "/policies/apply", form)
    assert answer.status_code == 409
    assert "# mine" in answer.text


def test_apply_and_roll_back(own_shop: Site) -> None:
    client = own_shop.client("operator")
    form = {"text": POLICY, "reason": "back to five", "expected": "2"}
    assert own_shop.post(client, "/policies/apply", form).headers["Location"] == "/policies?applied=3"
    assert own_shop.state.policies.current().author == "operator"
    text = client.get("/policies/edit?revision=2").text
    assert "roll back to revision 2" in text
    assert "count: 8" in text


def test_an_old_revision_is_shown_with_its_differences_and_the_marked_line(shop: Site) -> None:
    text = shop.client("viewer").get("/policies/1?line=4").text
    assert 'class="l marked"' in text
    assert 'class="l minus"' in text
    assert shop.client("viewer").get("/policies/99").status_code == 404


def test_a_draft_outlives_an_audit_log_that_cannot_be_written(own_shop: Site) -> None:
    client = own_shop.client("operator")
    form = {"text": POLICY + "\n# mine", "reason": "try", "expected": "2", "csrf_token": own_shop.token(client)}
    own_shop.audit.close()
    answer = client.post("/policies/apply", data=form)
    assert answer.status_code == 503
    assert "# mine" in answer.text
    assert 'value="try"' in answer.text


def test_only_ones_own_revision_is_offered_to_be_undone(own_shop: Site) -> None:
    client = own_shop.client("operator")
    assert "/policies/edit?revision=1" in client.get("/policies?applied=2").text.split("Undo")[0]
    stale = client.get("/policies?applied=1").text
    assert "Revision 1 was applied; since then" in stale
    assert "Undo" not in stale
    for unknown in ("x", "99"):
        assert "data-applied" not in client.get(f"/policies?applied={unknown}").text


def test_a_rule_of_monitored_workloads_has_hits_that_would_be(shop: Site) -> None:
    text = shop.client("viewer").get("/policies").text
    assert "in monitor</a>" in text
    assert "staged_rule%3A+" in text
    assert "range=24h" in text.split("in monitor</a>")[0].rsplit("<a ", 1)[1]
