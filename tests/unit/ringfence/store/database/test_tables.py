from __future__ import annotations

import dataclasses

import pytest
import sqlalchemy as sa

from ringfence.model.enforcement import Enforcement
from ringfence.model.finding import Finding
from ringfence.model.quarantine import Quarantine
from ringfence.model.workload import Workload
from ringfence.store.database import tables
from ringfence.store.state import PolicyRevision, ReportRecord, User


@pytest.mark.parametrize(
    ("table", "record", "own"),
    [
        (tables.POLICY_REVISIONS, PolicyRevision, set()),
        (tables.QUARANTINES, Quarantine, set()),
        (tables.FINDINGS, Finding, {"live_key", "rank"}),
        (tables.WORKLOADS, Workload, set()),
        (tables.USERS, User, set()),
        (tables.REPORTS, ReportRecord, {"claimed", "claims"}),
        (tables.ENFORCEMENTS, Enforcement, set()),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_table_has_a_column_for_every_part_of_its_record(table: sa.Table, record: type, own: set[str]) -> None:
    fields = {item.name for item in dataclasses.fields(record)}
    assert {column.name for column in table.columns} == fields | own
