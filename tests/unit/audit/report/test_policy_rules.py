from __future__ import annotations

from ipaddress import ip_network

from audit.report.completeness import examine_completeness
from audit.report.policy_rules import peers_in_words, rules_section, services_in_words
from policy_engine.parse import parse_policy
from ringfence.model.policy import Action, Peer, PortInterval, Rule, Selector, Service
from tests.support.audit_sources import SHOP_POLICY, flow, gap, sources

POLICY = parse_policy(SHOP_POLICY)


def test_every_rule_stands_there_with_its_hits() -> None:
    asked = sources([flow(), flow(), flow(revision=9), flow(ingress_rule="not-enforced/ingress/default")])
    section = rules_section(asked, POLICY, 1, examine_completeness(asked))
    rows = {row[0]: row for row in section.tables[0].rows}
    assert set(rows) == {
        "application/db/ingress/0",
        "application/api/egress/0",
        "application/ingress/default",
        "application/egress/default",
    }
    assert rows["application/db/ingress/0"][3:6] == ("role == 'api'", "tcp/5432", 2)
    assert rows["application/api/egress/0"][5] == 3
    assert rows["application/ingress/default"][5:] == (0, None)
    assert section.tables[1].rows[0][:2] == ("not-enforced/ingress/default", 1)
    assert [fact.value for fact in section.facts] == [4, 2]


def test_over_a_gap_no_hit_is_not_called_unused() -> None:
    asked = sources(gaps=(gap(),))
    section = rules_section(asked, POLICY, 1, examine_completeness(asked))
    assert "does not mean unused" in section.facts[1].label


def test_rules_in_words() -> None:
    inner, hidden = ip_network("10.0.0.0/8"), ip_network("10.9.0.0/16")
    ports = (PortInterval(first=53, last=53), PortInterval(first=8000, last=8100))
    udp = Service(protocol=17, ports=ports)
    ping = Service(protocol=1, icmp_type=8)
    rule = Rule(
        action=Action.ALLOW,
        peers=(Peer(networks=(inner,), not_networks=(hidden,)), Peer(selector=Selector(text="has(a)"))),
        services=(udp, ping, Service()),
    )
    assert peers_in_words(rule) == "in 10.0.0.0/8 and not in 10.9.0.0/16 or has(a)"
    assert services_in_words(rule) == "udp/53,8000-8100, icmp type 8, any"
    assert (peers_in_words(Rule(action=Action.DENY)), services_in_words(Rule(action=Action.DENY))) == ("anyone", "any")
