from __future__ import annotations

import pyarrow as pa
import pytest

from policy_engine.parse import parse_policy
from policy_engine.whatif import what_if
from ringfence.model.policy import PolicySet
from tests.support.policies import end_columns, flow_row, flow_table, workload

DENY = parse_policy(
    "version: 1\ntiers: [{name: t}]\npolicies: [{name: p, tier: t, selector: has(role), ingress: []}]\n"
)
EDGES = pa.table(
    {
        "src_ip": ["10.0.0.2", "10.0.0.2"],
        "dst_ip": ["10.0.0.3", "192.0.2.1"],
        "dst_workload": ["id-db", None],
        "dst_name": ["db", None],
        "dst_labels": pa.array([["role=db"], None], type=pa.list_(pa.string())),
        "protocol": pa.array([6, 6], type=pa.uint8()),
        "dst_port": pa.array([80, 80], type=pa.uint16()),
        "flows": [1000, 5],
    }
)


def test_edges_keep_their_figures_and_get_the_verdict_of_the_policy() -> None:
    rows = what_if(DENY, EDGES).to_pylist()
    assert [(row["staged"], row["staged_rule"], row["flows"]) for row in rows] == [
        ("denied", "t/ingress/default", 1000),
        (None, None, 5),
    ]
    assert what_if(PolicySet(), EDGES).column("staged").to_pylist() == ["allowed", None]


def test_the_verdict_of_another_policy_is_replaced_not_doubled() -> None:
    twice = what_if(PolicySet(), what_if(DENY, EDGES))
    assert twice.column_names.count("staged") == 1
    assert twice.column("staged").to_pylist() == ["allowed", None]


def test_whole_flows_are_edges_too() -> None:
    item = workload("db", {"role": "db"}, ["10.0.0.3"])
    rows = what_if(DENY, flow_table([flow_row(0, **end_columns("dst", item), enforced="allowed")])).to_pylist()
    assert rows[0]["staged"] == "denied"


def test_an_empty_history_is_no_trouble_and_missing_columns_are_named() -> None:
    assert what_if(DENY, EDGES.slice(0, 0)).num_rows == 0
    with pytest.raises(ValueError, match="dst_ip, protocol"):
        what_if(DENY, pa.table({"src_ip": ["10.0.0.1"]}))
