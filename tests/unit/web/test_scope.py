"""What a request looks at."""

from __future__ import annotations

import pytest

from tests.support.site import Site
from web.problems import Refused
from web.scope import scope, strict_scope
from web.window import WindowInvalid


def test_an_impossible_range_is_kept_as_an_error_beside_the_default(site: Site) -> None:
    with site.app.test_request_context("/flows?range=5y&q=verdict:+denied"):
        found = scope()
        assert "5y" in found.window_error
        assert found.window.preset == "1h"
        assert not found.answerable
        with pytest.raises(WindowInvalid):
            strict_scope()


def test_a_wrong_filter_is_an_error_for_programs(site: Site) -> None:
    with site.app.test_request_context("/flows?q=verdict:"), pytest.raises(Refused) as caught:
        strict_scope()
    assert caught.value.status == 400


def test_the_zone_comes_from_the_address_then_from_the_cookie(site: Site) -> None:
    with site.app.test_request_context("/flows?tz=Asia/Tokyo", headers={"Cookie": "tz=Europe/Berlin"}):
        assert scope().zone.key == "Asia/Tokyo"
    with site.app.test_request_context("/flows", headers={"Cookie": "tz=Europe/Berlin"}):
        assert scope().zone.key == "Europe/Berlin"


def test_a_zone_that_nobody_knows_is_refused_in_an_address_and_forgotten_in_a_cookie(site: Site) -> None:
    with site.app.test_request_context("/flows?tz=Berlin", headers={"Cookie": "tz=Europe/Berlin"}):
        assert "Berlin" in scope().window_error
        assert scope().zone.key == "Europe/Berlin"
        with pytest.raises(WindowInvalid):
            strict_scope()
    with site.app.test_request_context("/flows", headers={"Cookie": "tz=Berlin"}):
        assert (scope().zone.key, scope().window_error) == ("UTC", "")


def test_where_a_stream_goes_on_is_in_no_link(site: Site) -> None:
    with site.app.test_request_context("/flows/live?q=a: 1&after=17"):
        assert scope().address.changed("/flows") == "/flows?q=a%3A+1"


def test_it_is_read_once_in_a_request(site: Site) -> None:
    with site.app.test_request_context("/flows"):
        assert scope() is scope(default_range="7d")
