from __future__ import annotations

from audit.report.tally import Tally, end_name, service, tally_by, total, verdict_of
from tests.support.audit_sources import denied, flow, slipped, sources

ROWS = sources([flow(), flow(), denied(), slipped()]).summary(
    ("src_name", "dst_name", "transport", "dst_port", "enforced", "staged")
)


def test_sums_keep_every_connection_and_the_outer_times() -> None:
    found = total(ROWS)
    assert (found.flows, found.denied, found.staged) == (4, 1, 1)
    assert found.bytes == 3 * 2000 + 400
    assert found.first is not None and found.last is not None and found.first < found.last
    assert total(()) == Tally()


def test_the_most_frequent_comes_first() -> None:
    found = tally_by((end_name(row, "src"), row) for row in ROWS)
    assert {name: tally.flows for name, tally in found.items()} == {"api": 2, "web": 2}
    assert next(iter(found.values())).flows == 2


def test_verdicts_in_the_words_of_the_dashboard() -> None:
    assert [verdict_of(row) for row in ROWS] == ["allowed", "denied", "would be denied"]
    assert verdict_of({"enforced": None, "staged": None}) == "not judged"
    assert tally_by((0, row) for row in ROWS)[0].verdict == "denied"
    assert Tally(flows=1, staged=1).verdict == "would be denied"
    assert Tally(flows=1).verdict == "allowed"


def test_ends_and_services_have_names_even_where_little_is_known() -> None:
    assert end_name({"src_name": None, "src_ip": "192.0.2.1"}, "src") == "192.0.2.1"
    assert end_name({"src_name": None}, "src") == "outside"
    assert service({"transport": "icmp", "dst_port": None}) == "icmp"
    assert service({"transport": "udp", "dst_port": 0}) == "udp/0"
