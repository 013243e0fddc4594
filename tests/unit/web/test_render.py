"""What templates can say."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.site import Site
from web.render import RAIL

TEMPLATES = Path(__file__).parents[3] / "web" / "templates"


def test_names_from_outside_are_text_and_never_markup(site: Site) -> None:
    client = site.client("admin")
    for path in ('/flows?q="><script>alert(1)</script>', "/workloads?name=<img src=x>", "/audit?text=<svg onload=x>"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x>" not in text
        assert "<svg onload" not in text


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.stem)
def test_no_template_has_inline_script_style_or_trust(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in ("<style", "onclick", "onload", "javascript:", "|safe", "hx-on", "//cdn", "https://"):
        assert word not in text
    assert "<script>" not in text
    assert re.search(r"<[a-z][^>{%]* style=", text) is None


def test_each_page_of_the_rail_is_there_and_has_its_own_key(shop: Site) -> None:
    client = shop.client("admin")
    assert [client.get(place.path).status_code for place in RAIL] == [200] * len(RAIL)
    assert len({place.key for place in RAIL}) == len(RAIL)


def test_what_a_role_may_not_do_is_not_offered(shop: Site) -> None:
    assert "export.csv" not in shop.client("viewer").get("/flows?range=24h").text
    assert "Roll back" not in shop.client("auditor").get("/policies").text
    assert "/audit" not in shop.client("viewer").get("/").text


def test_times_are_in_the_zone_of_the_person_and_exact_in_the_title(shop: Site) -> None:
    text = shop.client("viewer").get("/flows?range=24h&tz=Asia/Tokyo").text
    assert " JST" in text
    assert (shop.clock() + timedelta(hours=9)).strftime("%Y") in text
