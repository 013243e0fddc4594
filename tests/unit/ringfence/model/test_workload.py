from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from ringfence.model.workload import Attachment, NetworkKind, Workload, WorkloadKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKLOAD = Workload(id="w", name="web", kind=WorkloadKind.CONTAINER, host="h", started=NOW)


def test_labels_cannot_be_changed_behind_its_back() -> None:
    labels = {"role": "db"}
    workload = replace(WORKLOAD, labels=labels)
    labels["role"] = "web"
    assert workload.labels == {"role": "db"}
    with pytest.raises(TypeError):
        workload.labels["role"] = "web"  # type: ignore[index]


def test_it_runs_until_it_ended() -> None:
    assert WORKLOAD.running
    assert not replace(WORKLOAD, ended=NOW).running


def test_its_addresses_are_those_of_present_attachments() -> None:
    now = Attachment(network="a", kind=NetworkKind.BRIDGE, addresses=(ip_address("10.0.0.1"),), since=NOW)
    past = replace(now, addresses=(ip_address("10.0.0.2"),), until=NOW)
    second = replace(now, network="b", addresses=(ip_address("fd00::1"),))
    workload = replace(WORKLOAD, attachments=(now, past, second))
    assert workload.addresses == (ip_address("10.0.0.1"), ip_address("fd00::1"))
