"""Health."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import timedelta

from ringfence.errors import StoreUnavailable
from ringfence.store.state import HostStatus
from tests.support.site import Site


def test_hosts_gaps_drift_and_the_doctor(shop: Site) -> None:
    text = shop.client("viewer").get("/health").text
    for word in (
        "stale",
        "socket overrun",
        "1,204",
        "not known",
        "the IPv6 rules could not be written",
        "IPv6 forwarding",
    ):
        assert word in text


def test_without_gaps_it_says_that_all_is_shown_only_where_all_was_watched(site: Site) -> None:
    unwatched = site.client("viewer").get("/health").text
    assert "none in the time range, but" in unwatched and "No host has ever reported" in unwatched
    site.state.hosts.report(HostStatus(host="h", at=site.clock() - timedelta(days=2), facts={}))
    assert "none in the time range: what is shown is all there was" in site.client("viewer").get("/health").text
    assert "Not watched from the start" in site.client("viewer").get("/health?range=7d").text


def test_a_host_out_of_service_is_not_called_stale(site: Site) -> None:
    site.state.hosts.report(HostStatus(host="h9", at=site.clock() - timedelta(days=2), facts={}))
    assert "</svg>stale</span>" in site.client("viewer").get("/health").text
    site.state.hosts.retire("h9", at=site.clock(), reason="scrapped & sold")
    text = site.client("viewer").get("/health").text
    assert '<span class="state" title="scrapped &amp; sold">out of service</span>' in text
    assert "</svg>stale</span>" not in text


class Away:
    """A flow store that does not answer."""

    def gaps(self, *_: object) -> None:
        raise StoreUnavailable("nobody is there")


def test_while_the_flow_store_is_away_it_tells_the_rest(site: Site) -> None:
    site.state.hosts.report(HostStatus(host="shop-1", at=site.clock(), facts={"limits": ["the store is away"]}))
    site.app.extensions["ringfence"] = replace(site.app.extensions["ringfence"], flows=Away())
    answer = site.client("viewer").get("/health")
    assert answer.status_code == 200
    assert "not known: the flow store does not answer" in answer.text
    assert "shop-1" in answer.text and "the store is away" in answer.text
    assert "none in the time range" not in answer.text
    body = site.client("viewer").get("/api/v1/health").get_json()
    assert (body["gaps"], [host["host"] for host in body["hosts"]]) == (None, ["shop-1"])
    assert body["sentence"].startswith("the flow store does not answer; not watched from the start")


def test_a_file_has_the_gaps_newest_first(own_shop: Site) -> None:
    text = own_shop.client("auditor").get("/health/gaps/export.csv").text
    rows = [row for row in csv.DictReader(io.StringIO(text)) if not row["cause"].startswith("#")]
    assert [(row["cause"], row["lost"], row["seconds"]) for row in rows] == [
        ("socket overrun", "1204", "120.0"),
        ("collector not running", "", "1200.0"),
    ]


def test_hosts_gaps_and_enforcement_follow_what_changes(shop: Site) -> None:
    text = shop.client("viewer").get("/health").text
    for part, topics in (("hosts", "host"), ("gaps", "gap host"), ("enforcement", "enforcement")):
        assert f'data-refresh="{part}" data-follow="{topics}"' in text
    assert "<time data-ago datetime=" in text.split('data-refresh="hosts"')[1].split("</section>")[0]


def test_what_a_host_reports_makes_the_page_anew_every_five_seconds_at_most(shop: Site) -> None:
    parts = re.findall(r"<[^>]*data-follow=[^>]*>", shop.client("viewer").get("/health").text)
    assert len(parts) == 4
    assert all('data-pace="5"' in part for part in parts)
