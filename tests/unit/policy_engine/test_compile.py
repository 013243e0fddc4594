from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest

from policy_engine.compile import compile_rulesets, namespace_owners
from policy_engine.endpoint import Request
from policy_engine.numbering import numbered
from policy_engine.parse import parse_policy
from ringfence.model.policy import PolicySet
from ringfence.model.ruleset import DEFAULT_ALLOW_RULE, UNENFORCED_RULE, Ruleset
from ringfence.model.verdict import Direction, Mode, RuleRef
from ringfence.model.workload import NetworkKind, Workload, WorkloadKind
from tests.support.fake_ruleset import execute
from tests.support.policies import START, workload

TEXT = """\
version: 1
default_mode: monitor
sets: {office: [10.1.0.0/16]}
groups: [{name: db, selector: "role == 'db'", mode: protect}]
tiers: [{name: application}]
policies:
  - name: db
    tier: application
    selector: "role == 'db'"
    ingress:
      - {action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}
      - {action: reject, from: {networks: [office], except: [10.1.1.0/24]}}
  - name: web
    tier: application
    selector: "role == 'web'"
    ingress: []
"""
API = workload("api", {"role": "api"}, ["10.0.0.2", "fd00::2"])
DB = workload("db", {"role": "db"}, ["10.0.0.3"])
WEB = workload("web", {"role": "web"}, ["10.0.0.4"])


class Numbers:
    """Assigns numbers and remembers who asked."""

    def __init__(self) -> None:
        self.asked: dict[RuleRef, int] = {}

    def __call__(self, ref: RuleRef) -> int:
        return self.asked.setdefault(ref, 16 + len(self.asked))

    def refs(self) -> set[str]:
        return {str(ref) for ref in self.asked}


def compiled(text: str = TEXT) -> tuple[dict[str, Ruleset], Numbers]:
    numbers = Numbers()
    return compile_rulesets(parse_policy(text), [API, DB, WEB], numbers), numbers


def test_a_workload_gets_only_the_rules_that_select_it() -> None:
    rulesets, numbers = compiled()
    database = rulesets["id-db"]
    assert [str(rule.ref) for rule in database.ingress] == [
        "application/db/ingress/0",
        "application/db/ingress/1",
        "application/ingress/default",
    ]
    assert [(rule.allow, rule.reject) for rule in database.ingress] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert [rule.number for rule in database.egress] == [DEFAULT_ALLOW_RULE]
    assert numbers.refs() == {str(rule.ref) for rule in database.ingress}


def test_peers_become_the_addresses_that_workloads_hold_now() -> None:
    database = compiled()[0]["id-db"]
    sets = {item.name: item for item in database.sets}
    allow, office, *_ = database.ingress
    assert [str(item) for item in sets[allow.peers or ""].ipv4] == ["10.0.0.2/32"]
    assert [str(item) for item in sets[allow.peers or ""].ipv6] == ["fd00::2/128"]
    assert [str(item) for item in sets[office.peers or ""].ipv4] == ["10.1.0.0/16"]
    assert [str(item) for item in sets[office.not_peers or ""].ipv4] == ["10.1.1.0/24"]


def test_a_new_peer_changes_members_but_no_rule() -> None:
    before = compile_rulesets(parse_policy(TEXT), [API, DB], Numbers())["id-db"]
    more = workload("api2", {"role": "api"}, ["10.0.0.9"])
    after = compile_rulesets(parse_policy(TEXT), [API, more, DB], Numbers())["id-db"]
    assert (before.ingress, before.egress) == (after.ingress, after.egress)
    assert before.sets != after.sets
    assert before.digest != after.digest


def test_order_of_the_inventory_does_not_matter() -> None:
    one = compile_rulesets(parse_policy(TEXT), [API, DB, WEB], Numbers())
    other = compile_rulesets(parse_policy(TEXT), [WEB, DB, API], Numbers())
    assert {key: item.digest for key, item in one.items()} == {key: item.digest for key, item in other.items()}


def test_out_of_protect_everything_is_allowed_and_marked_so() -> None:
    web = compiled()[0]["id-web"]
    assert web.mode is Mode.MONITOR
    for direction in Direction:
        assert [(rule.number, rule.allow) for rule in web.rules(direction)] == [(UNENFORCED_RULE, True)]
        assert str(web.rules(direction)[0].ref) == f"not-enforced/{direction.value}/default"


def test_only_what_numbering_lists_is_asked_for() -> None:
    numbers = {ref for ref, _ in numbered(parse_policy(TEXT))}
    assert set(compiled()[1].asked) <= numbers


def test_only_running_workloads_with_a_namespace_get_rules_and_the_rest_are_still_peers() -> None:
    office = workload("office", {"role": "api"}, ["192.0.2.7"], kind=WorkloadKind.EXTERNAL, netns=None)
    gone = replace(workload("gone", {"role": "api"}, ["10.0.0.66"]), ended=START + timedelta(1))
    bare = workload("bare", {"role": "db"}, [], netns=None)
    host = workload("host", {"role": "db"}, ["10.0.0.1"], kind=WorkloadKind.HOST)
    rulesets = compile_rulesets(parse_policy(TEXT), [office, gone, bare, host, DB], Numbers())
    assert set(rulesets) == {"id-db"}
    members = [str(item) for item in rulesets["id-db"].sets[0].ipv4 + rulesets["id-db"].sets[1].ipv4]
    assert "192.0.2.7/32" in " ".join([*members, *(str(n) for s in rulesets["id-db"].sets for n in s.ipv4)])
    assert not any("10.0.0.66" in str(n) for s in rulesets["id-db"].sets for n in s.ipv4)


def test_a_shared_namespace_has_one_ruleset_that_of_its_owner() -> None:
    owner = workload("owner", {"role": "db"}, ["10.0.0.3"], netns=5)
    guest = workload("guest", {"role": "web"}, [], netns=5, network=NetworkKind.SHARED)
    orphan = workload("orphan", {"role": "db"}, [], netns=6, network=NetworkKind.SHARED)
    assert [item.name for item in namespace_owners([guest, owner, orphan])] == ["orphan", "owner"]
    rulesets = compile_rulesets(parse_policy(TEXT), [guest, owner, orphan], Numbers())
    assert set(rulesets) == {"id-owner", "id-orphan"}


def test_a_selector_that_selects_nobody_matches_nobody() -> None:
    rulesets = compile_rulesets(parse_policy(TEXT), [DB], Numbers())
    peer = ip_address("10.0.0.2")
    executed = execute(rulesets["id-db"], Direction.INGRESS, peer, Request(protocol=6, port=5432))
    assert str(executed.ref) == "application/ingress/default"


def test_many_ports_stay_one_rule() -> None:
    ports = ", ".join(str(number) for number in range(1, 100, 2))
    ruleset = compiled(TEXT.replace("[5432]", f"[{ports}, 200-300]"))[0]["id-db"]
    assert [str(rule.ref) for rule in ruleset.ingress].count("application/db/ingress/0") == 1
    for port, allowed in ((1, True), (2, False), (99, True), (250, True), (301, False)):
        executed = execute(ruleset, Direction.INGRESS, ip_address("10.0.0.2"), Request(protocol=6, port=port))
        assert executed.allow is allowed


PARTNER = """\
version: 1
default_mode: protect
tiers: [{name: application, default: allow}]
policies:
  - name: no-partner
    tier: application
    selector: "role == 'api'"
    egress: [{action: deny, to: {selector: "zone == 'partner'"}}]
"""


def outside(name: str, labels: dict[str, str]) -> Workload:
    return workload(name, labels, kind=WorkloadKind.EXTERNAL, netns=None)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        pytest.param("203.0.113.9", False, id="in the network"),
        pytest.param("203.0.113.130", True, id="in a smaller network of somebody else"),
        pytest.param("203.0.113.4", True, id="held by a container"),
        pytest.param("203.0.114.1", True, id="beside it"),
    ],
)
def test_a_named_network_outside_is_a_peer_as_flows_are_attributed_to_it(address: str, allowed: bool) -> None:
    held = [
        (ip_network("203.0.113.0/24"), outside("partner", {"zone": "partner"})),
        (ip_network("203.0.113.128/28"), outside("own", {"zone": "own"})),
    ]
    inside = workload("inside", {"role": "web"}, ["203.0.113.4"])
    rulesets = compile_rulesets(parse_policy(PARTNER), [API, inside], Numbers(), held)
    assert set(rulesets) == {"id-api", "id-inside"}
    executed = execute(rulesets["id-api"], Direction.EGRESS, ip_address(address), Request(protocol=6, port=443))
    assert executed.allow is allowed


def test_a_denied_peer_is_not_reached_by_its_link_local_address() -> None:
    policy = PARTNER.replace("zone == 'partner'", "role == 'db'")
    held = [(ip_network("fe80::3"), DB), (ip_network("fe80::4"), replace(DB, id="id-not-known"))]
    ruleset = compile_rulesets(parse_policy(policy), [API, DB], Numbers(), held)["id-api"]
    for address, allowed in (("10.0.0.3", False), ("fe80::3", False), ("fe80::4", True)):
        executed = execute(ruleset, Direction.EGRESS, ip_address(address), Request(protocol=6, port=80))
        assert executed.allow is allowed


@pytest.mark.parametrize("direction", Direction)
def test_a_container_in_the_hosts_network_is_denied_by_the_hosts_addresses(direction: Direction) -> None:
    host = workload("h1", {"kind": "host"}, ["10.0.0.1", "fd00::1"], kind=WorkloadKind.HOST, network=NetworkKind.HOST)
    agent = workload("agent", {"role": "agent"}, network=NetworkKind.HOST)
    policy = PARTNER.replace("zone == 'partner'", "role == 'agent'")
    if direction is Direction.INGRESS:
        policy = policy.replace("egress:", "ingress:").replace("to:", "from:")
    held = [(ip_network("fe80::1"), host)]
    ruleset = compile_rulesets(parse_policy(policy), [API, host, agent], Numbers(), held)["id-api"]
    for address, allowed in (("10.0.0.1", False), ("fd00::1", False), ("fe80::1", False), ("10.0.0.4", True)):
        executed = execute(ruleset, direction, ip_address(address), Request(protocol=6, port=80))
        assert executed.allow is allowed


def test_a_peer_behind_another_engine_does_not_let_in_who_has_its_address_here() -> None:
    api, evil, database = (
        replace(workload(name, {"role": name}, [address], netns=netns), host=host)
        for netns, (name, address, host) in enumerate(
            [("api", "172.17.0.2", "h1"), ("evil", "172.17.0.2", "h2"), ("db", "172.17.0.3", "h2")]
        )
    )
    near = replace(database, id="id-near", host="h1")
    rulesets = compile_rulesets(parse_policy(TEXT), [api, evil, database, near], Numbers())
    for workload_id, allowed in (("id-db", False), ("id-near", True)):
        ask = Request(protocol=6, port=5432)
        executed = execute(rulesets[workload_id], Direction.INGRESS, ip_address("172.17.0.2"), ask)
        assert executed.allow is allowed


def test_one_workload_with_too_many_rules_says_so_and_the_others_have_theirs() -> None:
    rules = {
        label: ", ".join(f"{{action: pass, from: {{networks: [10.{tier}.{number}.0/24]}}}}" for number in range(250))
        for tier, label in enumerate("xy")
    }
    text = "version: 1\ndefault_mode: protect\ntiers: [{name: x, default: pass}, {name: y, default: pass}]\npolicies:\n"
    text += "".join(
        f"  - {{name: {label}, tier: {label}, selector: has({label}), ingress: [{passes}]}}\n"
        for label, passes in rules.items()
    )
    workloads = [workload(labels, dict.fromkeys(labels, "")) for labels in ("x", "y", "xy")]
    found = compile_rulesets(parse_policy(text), workloads, Numbers())
    assert {name: (item.problem, len(item.ingress)) for name, item in found.items()} == {
        "id-x": ("", 251),
        "id-y": ("", 251),
        "id-xy": ("more than 50000 rules for one workload: use fewer pass rules", 0),
    }


def test_an_empty_policy_compiles_to_allowing_everything() -> None:
    rulesets = compile_rulesets(PolicySet(default_mode=Mode.PROTECT), [API], Numbers())
    assert [rule.number for rule in rulesets["id-api"].ingress] == [DEFAULT_ALLOW_RULE]
