from __future__ import annotations

from policy_engine.identity import identity_of
from policy_engine.judge import Judge
from policy_engine.parse import parse_policy
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.policy import PolicySet
from ringfence.model.workload import WorkloadKind
from tests.support.policies import end_columns, flow_row, flow_table, workload

TEXT = """\
version: 1
tiers: [{name: application}]
policies:
  - name: db
    tier: application
    selector: "role == 'db'"
    ingress: [{action: allow, from: {selector: "role == 'api'"}, protocol: tcp, ports: [5432]}]
  - name: web
    tier: application
    selector: "role == 'web'"
    ingress: [{action: allow, protocol: tcp, ports: [8080]}]
    egress: [{action: allow, to: {networks: [192.0.2.0/24]}}, {action: deny}]
"""
API = workload("api", {"role": "api"}, ["10.0.0.2", "fd00::2"])
DB = workload("db", {"role": "db"}, ["10.0.0.3", "fd00::3"])
WEB = workload("web", {"role": "web"}, ["10.0.0.4"])
JUDGE = Judge(parse_policy(TEXT), 7)


def judged(**columns: object) -> dict[str, object]:
    return JUDGE.judge(flow_table([flow_row(0, **columns)])).flows.to_pylist()[0]  # type: ignore[no-any-return]


def test_a_flow_gets_identities_staged_verdict_and_revision() -> None:
    row = judged(**end_columns("src", API), **end_columns("dst", DB), dst_port=5432, enforced="allowed")
    assert row["src_identity"] == identity_of(API.labels).id
    assert row["dst_identity"] == identity_of(DB.labels).id
    assert (row["staged"], row["staged_rule"], row["revision"]) == ("allowed", "application/db/ingress/0", 7)
    assert row["staged_sentence"] == (
        "api may reach db on tcp/5432: allowed by ingress rule 1 of policy db (tier application)"
    )
    assert row["sentence"] == "api may reach db on tcp/5432: allowed, by which rule is not known"


def test_the_schema_stays_and_an_empty_batch_is_no_trouble() -> None:
    empty = FLOW_SCHEMA.empty_table()
    assert JUDGE.judge(empty).flows.schema == FLOW_SCHEMA
    assert JUDGE.judge(flow_table([flow_row(0)])).flows.schema == FLOW_SCHEMA


def test_the_enforced_sentence_follows_the_kernels_rule_not_the_policy() -> None:
    ends = end_columns("src", API) | end_columns("dst", DB)
    row = judged(**ends, dst_port=5432, enforced="allowed", rule="not-enforced/ingress/default")
    assert row["sentence"] == "api may reach db on tcp/5432: allowed, since db is not in protect mode"
    row = judged(**ends, dst_port=22, enforced="denied", rule="application/db/ingress/4")
    assert row["sentence"] == (
        "api may not reach db on tcp/22: denied by ingress rule 5 of policy db (tier application)"
    )
    row = judged(**ends, enforced="allowed", ingress_rule="ingress/default", egress_rule="egress/default")
    assert row["sentence"] == "api may reach db on tcp/80: allowed, every policy that selects db for ingress passes"
    row = judged(**ends, enforced="allowed", rule="gibberish")
    assert row["sentence"] == "api may reach db on tcp/80: allowed, by which rule is not known"


def test_what_nobody_knows_stays_empty() -> None:
    row = judged()
    assert [row[name] for name in ("src_identity", "dst_identity", "staged", "staged_rule", "sentence")] == [None] * 5
    assert row["revision"] == 7


def test_an_address_outside_is_judged_by_the_workloads_side_alone() -> None:
    row = judged(**end_columns("dst", DB), dst_port=5432)
    assert (row["staged"], row["staged_rule"]) == ("denied", "application/ingress/default")
    assert str(row["staged_sentence"]).startswith("198.51.100.9 may not reach db on tcp/5432")


def test_an_external_network_is_a_peer_and_never_governed() -> None:
    office = workload("office", {"role": "db"}, ["192.0.2.9"], kind=WorkloadKind.EXTERNAL, netns=None)
    row = judged(**end_columns("src", API), **end_columns("dst", office), dst_port=1)
    assert row["staged"] == "allowed"
    api_outside = workload("branch", {"role": "api"}, ["192.0.2.8"], kind=WorkloadKind.EXTERNAL, netns=None)
    row = judged(**end_columns("src", api_outside), **end_columns("dst", DB), dst_port=5432)
    assert row["staged"] == "allowed"


def test_each_end_judges_what_it_sees_across_translation() -> None:
    published = {"dst_ip": "192.0.2.1", "dst_port": 80, "nat_dst_ip": "10.0.0.4", "nat_dst_port": 8080}
    row = judged(**{**end_columns("dst", WEB), **published})
    assert (row["staged"], row["staged_rule"]) == ("allowed", "application/web/ingress/0")
    row = judged(**{**end_columns("src", WEB), **end_columns("dst", DB), **published, "nat_dst_ip": "10.0.0.3"})
    assert (row["staged"], row["staged_rule"]) == ("denied", "application/ingress/default")
    hidden = {"nat_src_ip": "10.0.0.1", "dst_port": 5432}
    row = judged(**{**end_columns("src", API), **end_columns("dst", DB), **hidden})
    assert row["staged"] == "denied"


def test_denied_flows_are_violations_and_staged_ones_are_marked() -> None:
    ends = end_columns("src", WEB) | end_columns("dst", DB)
    rows = [
        flow_row(0, **ends, enforced="denied", rule="application/web/egress/1"),
        flow_row(1, **ends, enforced="allowed", rule="not-enforced/ingress/default"),
        flow_row(2, **ends, enforced="allowed", rule="not-enforced/ingress/default"),
        flow_row(3, **end_columns("src", API), **end_columns("dst", DB), dst_port=5432, enforced="allowed"),
    ]
    findings = JUDGE.judge(flow_table(rows)).findings
    assert [(item.staged, item.count, item.flows, item.rule) for item in findings] == [
        (False, 1, ("f000000",), "application/web/egress/1"),
        (True, 2, ("f000001", "f000002"), "application/web/egress/1"),
    ]
    assert {(item.workload, item.peer) for item in findings} == {("id-web", "id-db")}


def test_the_same_batch_gets_the_same_answer_and_the_empty_policy_finds_nothing() -> None:
    batch = flow_table([flow_row(n, **end_columns("src", WEB), **end_columns("dst", DB)) for n in range(5)])
    assert JUDGE.judge(batch) == JUDGE.judge(batch)
    assert Judge(PolicySet(), 0).judge(batch).findings == ()


def test_addresses_that_are_none_match_no_network_and_are_no_crash() -> None:
    row = judged(**{**end_columns("src", WEB), "dst_ip": "not an address"})
    assert (row["staged"], row["staged_rule"]) == ("denied", "application/web/egress/1")


def test_labels_decide_and_the_same_workload_may_change_them() -> None:
    ends = end_columns("src", API) | end_columns("dst", DB)
    other = {**ends, "src_labels": ["role=web=2"]}
    table = flow_table([flow_row(0, **ends, dst_port=5432), flow_row(1, **other, dst_port=5432)])
    assert JUDGE.judge(table).flows.column("staged").to_pylist() == ["allowed", "denied"]
