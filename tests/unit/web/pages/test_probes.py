"""Probes."""

from __future__ import annotations

from dataclasses import replace

from tests.support.site import Site
from web.app import create_app


def test_alive_and_ready_need_no_login_and_say_little(site: Site) -> None:
    client = site.client()
    assert client.get("/healthz").get_json() == {"status": "alive"}
    assert client.get("/readyz").get_json() == {"status": "ready"}


def test_not_ready_names_the_store_that_is_away(site: Site) -> None:
    site.flows.close()
    answer = site.client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json() == {"status": "not ready", "away": ["flow store"]}


def test_not_ready_names_the_loop_that_does_not_go_on(site: Site) -> None:
    app = create_app(replace(site.services, stalled=lambda: ("shipping",)))
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.get_json() == {"status": "not ready", "stalled": ["shipping"]}


def test_metrics_need_a_login(site: Site) -> None:
    assert site.client().get("/metrics").status_code == 401
    assert "ringfence_http_requests_total" in site.client("operator").get("/metrics").text
