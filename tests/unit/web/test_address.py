"""Links that change one thing and keep the rest."""

from __future__ import annotations

import pytest

from web.address import Address, local_path

HERE = Address("/flows", {"q": ("verdict: denied",), "range": ("24h",), "cols": ("source",), "off": ("a: 1", "b: 2")})


def test_a_change_keeps_everything_else() -> None:
    assert HERE.changed(flow="x").endswith("off=a%3A+1&off=b%3A+2&flow=x")
    assert "q=" not in HERE.changed(q=None)
    assert HERE.changed(from_="1", range=None).endswith("from=1")


def test_the_filter_and_the_range_go_along_to_another_page_and_the_columns_do_not() -> None:
    link = HERE.carried("/map")
    assert link.startswith("/map?q=verdict")
    assert "cols" not in link
    assert HERE.ranged("/health") == "/health?range=24h"


def test_a_value_narrows_the_list_and_leaves_the_page() -> None:
    paged = Address("/flows", {"cursor": ("x",), "offset": ("100",), "flow": ("y",)})
    assert paged.narrowed("dst_name", "a b") == "/flows?q=dst_name%3A+%22a+b%22"


def test_what_is_counted_on_one_page_is_looked_for_over_the_same_time_on_another() -> None:
    day = Address("/workloads/x", {"tz": ("UTC",)}, "24h")
    assert day.within("/flows", q="a: 1") == "/flows?range=24h&tz=UTC&q=a%3A+1"
    assert day.narrowed("a", "1", "/flows") == "/flows?tz=UTC&range=24h&q=a%3A+1"
    assert day.ranged("/flows") == "/flows?tz=UTC", "the rail: nobody chose a range, so each page keeps its own"
    assert day.narrowed("a", "1") == "/workloads/x?tz=UTC&q=a%3A+1"
    chosen = Address("/workloads/x", {"from": ("0",)}, "24h")
    assert chosen.within("/flows") == "/flows?from=0"


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "", "evil", "/a\nb"]
)
def test_a_login_never_leads_to_another_site(target: str) -> None:
    assert local_path(target) == "/"


def test_a_login_leads_back_to_the_page() -> None:
    assert local_path("/flows?q=a%3A+1") == "/flows?q=a%3A+1"
