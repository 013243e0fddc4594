from __future__ import annotations

from audit.report.posture import Posture
from audit.report.zones import MOST_ZONES, OUTSIDE, UNLABELLED, make_zones
from ringfence.model.verdict import Mode
from ringfence.model.workload import WorkloadKind
from tests.support.audit_sources import workload


def postures(*labels: dict[str, str], kind: WorkloadKind = WorkloadKind.CONTAINER) -> list[Posture]:
    return [
        Posture(
            workload=workload(f"w{number}", labels=item, kind=kind),
            mode=Mode.PROTECT,
            ingress=(),
            egress=(),
            enforcement=None,
        )
        for number, item in enumerate(labels)
    ]


def test_a_label_that_half_of_the_workloads_carry_makes_the_zones() -> None:
    zones = make_zones(postures({"role": "web"}, {"role": "db"}, {}), "")
    assert zones.by == "role"
    assert set(zones.members) == {"web", "db", UNLABELLED}


def test_without_such_a_label_each_workload_is_its_own_zone() -> None:
    zones = make_zones(postures({"role": "web"}, {}, {}), "")
    assert zones.by == "name" and set(zones.members) == {"w0", "w1", "w2"}
    assert make_zones([], "").members == {}


def test_the_asked_for_label_wins_and_hosts_are_zones_of_their_own() -> None:
    items = postures({"role": "web", "env": "prod"}) + postures({}, kind=WorkloadKind.HOST)
    zones = make_zones(items, "env")
    assert set(zones.members) == {"prod", "host w0"}


def test_an_end_behind_which_no_workload_stands_is_outside() -> None:
    zones = make_zones(postures({"role": "web"}), "")
    assert (zones.zone("id-w0"), zones.zone("id-other"), zones.zone(None)) == ("web", OUTSIDE, OUTSIDE)


def test_too_many_zones_keep_the_largest_and_file_nobody_under_outside() -> None:
    many = postures(*({"role": f"r{number:03}"} for number in range(MOST_ZONES + 5)), {"role": "r044"})
    zones = make_zones(many, "")
    assert len(zones.members) == MOST_ZONES and zones.left_out == 5
    assert "r044" in zones.members
    assert zones.zone("id-w43") == "r043"
