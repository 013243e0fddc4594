from __future__ import annotations

import pytest

from ringfence.store.filter.parser import parse_filter
from ringfence.store.filter.predicate import to_predicate

ROW = {
    "src_ip": "10.0.0.1",
    "dst_ip": "fd00::1",
    "dst_port": 443,
    "src_name": "web",
    "src_labels": ["role=web"],
    "src_bytes": 10,
    "dst_bytes": None,
}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("ip: 10.0.0.0/8", True),
        ("not ip: 10.0.0.0/8", False),
        ("dst: ::/0", True),
        ("src: ::/0", False),
        ("src: ::ffff:0:0/96", True),
        ("port: 400-500", True),
        ("src_port: *", False),
        ("not src_port: 80", True),
        ("label.role: w*", True),
        ("label.env: *", False),
        ("bytes: 10", True),
        ("packets: *", False),
        ("web and not dport: 80", True),
    ],
)
def test_a_row_is_selected_by_what_it_holds(text: str, selected: bool) -> None:
    assert to_predicate(parse_filter(text))(ROW) is selected


def test_a_missing_column_is_null() -> None:
    assert not to_predicate(parse_filter("host: *"))({})
    assert to_predicate(parse_filter("not src: 10.0.0.1"))({})
