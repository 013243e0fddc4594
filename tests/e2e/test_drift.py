"""Acceptance: rules wiped in a container's namespace are back within five seconds, on record and as a finding."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import traffic
from tests.support.lab import LabHost
from tests.support.rules import rules_of
from tests.support.service import RunningService
from tests.support.shop import POLICY
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker]

REPAIR_SECONDS = 5.0


def test_wiped_rules_of_a_container_are_back_in_seconds_and_everybody_is_told(
    lab_host: LabHost, tmp_path: Path
) -> None:
    net = lab_host.network("shop")
    api = lab_host.run("api", network=net, labels={"role": "api"})
    db = lab_host.run("db", network=net, labels={"role": "db"})
    with RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"]) as service:
        service.enforce(POLICY, db.id)
        rules = rules_of(db)
        subprocess.run(db.nsenter("iptables", "-F"), check=True)
        wiped = time.monotonic()
        wait_until("the rules are back", lambda: rules_of(db) == rules, seconds=REPAIR_SECONDS, every=0.02)
        seconds = time.monotonic() - wiped
        sys.stdout.write(f"wiped rules of a container were back after {seconds * 1000:.0f} ms\n")
        assert seconds < REPAIR_SECONDS
        assert traffic.probe_tcp(api.netns_path, db.address(4), 80, timeout=0.3) is traffic.Probe.TIMEOUT
        (record,) = wait_until("it is on record", lambda: drifts(service), seconds=10)
        (finding,) = wait_until("it is a finding", lambda: findings(service), seconds=10)
        assert service.run("audit", "verify").returncode == 0
    assert record["target"] == "db"
    assert 0 < record["detail"]["open_seconds"] < REPAIR_SECONDS
    assert finding["workload"] == db.id
    assert "rules of db were changed behind our back and put back after" in finding["sentence"]


def drifts(service: RunningService) -> list[dict[str, Any]]:
    records = service.api("GET", "/audit?limit=500")["records"]
    return [record for record in records if record["action"] == "drift repaired"]


def findings(service: RunningService) -> list[dict[str, Any]]:
    return [item for item in service.api("GET", "/findings")["findings"] if item["kind"] == "drift"]
