from __future__ import annotations

from policy_engine import bitmap as module
from policy_engine.bitmap import NOBODY, Bitmap
from policy_engine.endpoint import Endpoint, Request
from policy_engine.parse import parse_policy
from ringfence.model.verdict import Direction

TEXT = """\
version: 1
tiers: [{name: one, default: pass}, {name: two}]
policies:
  - name: p
    tier: one
    selector: has(a)
    ingress: [{action: pass, protocol: tcp}, {action: deny}]
  - {name: q, tier: two, selector: all(), ingress: [{action: allow, protocol: tcp, ports: ["10-20"]}]}
"""
POLICIES = parse_policy(TEXT)
BITMAP = Bitmap(POLICIES, Direction.INGRESS)
ANY = Endpoint(name="x")


def decided(labels: dict[str, str], request: Request) -> str:
    end = Endpoint(name="y", labels=labels)
    found = BITMAP.decide(BITMAP.subject(end), BITMAP.peer(ANY), BITMAP.service(request))
    return "" if found == NOBODY else str(BITMAP.refs[found])


def test_the_lowest_common_bit_decides_and_pass_clears_its_tier() -> None:
    assert decided({"a": ""}, Request(protocol=6, port=15)) == "two/q/ingress/0"
    assert decided({"a": ""}, Request(protocol=6, port=9)) == "two/ingress/default"
    assert decided({"a": ""}, Request(protocol=17)) == "one/p/ingress/1"
    assert decided({}, Request(protocol=6, port=20)) == "two/q/ingress/0"


def test_nobody_decides_for_an_end_without_policies() -> None:
    assert BITMAP.subject(ANY) == 0
    assert BITMAP.subject(Endpoint(name="office", labels={}, governed=False)) == 0
    assert BITMAP.decide(0, -1, -1) == NOBODY


def test_every_rule_and_every_default_has_a_bit() -> None:
    assert [str(ref) for ref in BITMAP.refs] == [
        "one/p/ingress/0",
        "one/p/ingress/1",
        "one/ingress/default",
        "two/q/ingress/0",
        "two/ingress/default",
    ]


def test_ports_between_two_cuts_share_an_entry() -> None:
    bitmap = Bitmap(POLICIES, Direction.INGRESS)
    masks = {bitmap.service(Request(protocol=6, port=port)) for port in range(65536)}
    assert len(masks) == 2
    assert len(bitmap._service_cache) == 3


def test_caches_are_bounded() -> None:
    bitmap = Bitmap(POLICIES, Direction.INGRESS)
    for number in range(300):
        bitmap.service(Request(protocol=1, icmp_type=number % 256, icmp_code=number // 256))
    assert len(bitmap._service_cache) <= module.CACHE_SIZE
