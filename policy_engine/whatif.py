"""What another policy would have done with recorded history: summarised edges in, verdicts per edge out."""

from __future__ import annotations

import pyarrow as pa

from policy_engine.judge import KEY, Judge
from ringfence.model.flow import FLOW_SCHEMA
from ringfence.model.policy import PolicySet

REQUIRED = ("src_ip", "dst_ip", "protocol")
VERDICT_COLUMNS = ("staged", "staged_rule", "staged_sentence")


def what_if(policies: PolicySet, edges: pa.Table) -> pa.Table:
    """The edges with `staged`, `staged_rule` and `staged_sentence` by this policy; other columns stay.

    `edges` has at least `src_ip`, `dst_ip` and `protocol`, and as many of `policy_engine.judge.KEY` as the history was
    grouped by: whatever is missing counts as not known.

    Raises:
        ValueError: a required column is missing.
    """
    missing = [name for name in REQUIRED if name not in edges.column_names]
    if missing:
        raise ValueError(f"edges lack the columns {', '.join(missing)}")
    rows = pa.table(
        {
            field.name: edges.column(field.name).cast(field.type)
            if field.name in KEY and field.name in edges.column_names
            else pa.nulls(edges.num_rows, field.type)
            for field in FLOW_SCHEMA
        }
    )
    judged = Judge(policies, 0).stage(rows)
    kept = edges.drop_columns([name for name in VERDICT_COLUMNS if name in edges.column_names])
    for name in VERDICT_COLUMNS:
        kept = kept.append_column(name, judged.column(name))
    return kept
