"""Acceptance: a compromised container scans, is isolated by itself, released, and the record of it all holds."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support import traffic
from tests.support.lab import LabHost
from tests.support.rules import rules_of
from tests.support.service import RunningService
from tests.support.shop import POLICY
from tests.support.streams import DatagramStream, Download
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker]

EXPECTED = (
    "policy applied",
    "ruleset applied",
    "response triggered",
    "quarantine state changed",
    "quarantine released",
)


def test_a_scanner_is_isolated_cut_released_and_accounted_for(lab_host: LabHost, tmp_path: Path) -> None:
    net = lab_host.network("shop")
    web = lab_host.run("web", network=net, labels={"role": "web"})
    db = lab_host.run("db", network=net, labels={"role": "db"})
    bad = lab_host.run("coupon", network=net, labels={"role": "coupon"})
    with RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"]) as service:
        service.enforce(POLICY, db.id, bad.id)
        rules_before = rules_of(bad)
        with (
            Download(bad.netns_path, web.netns_path, web.address(4)) as download,
            DatagramStream(bad.netns_path, web.netns_path, web.address(4)) as stream,
        ):
            wait_until("both run", lambda: download.received > 0 and stream.received > 0)
            scanned = time.monotonic()
            traffic.scan(bad.netns_path, db.address(4), range(1, 9), timeout=0.3)
            quarantine = wait_until("it is isolated", lambda: only_quarantine(service, "verified"), seconds=15)
            ordered = (
                time.monotonic() - (datetime.now(UTC) - datetime.fromisoformat(quarantine["created"])).total_seconds()
            )
            received = download.received, stream.received
            time.sleep(2.0)
            assert (download.received, stream.received) == received
            assert min(download.last_received, stream.last_received) >= scanned, "both ran when the scan began"
            silent = max(download.last_received, stream.last_received)
            sys.stdout.write(
                f"silent {silent - scanned:.2f} s after the scan began, {silent - ordered:.2f} s after the order\n"
            )
            assert silent - scanned < 1.0
        assert quarantine["author"] == "automation:contain"
        assert all(check["passed"] for check in quarantine["proof"]["checks"])
        assert traffic.probe_tcp(web.netns_path, bad.address(4), 1, timeout=0.5) is traffic.Probe.TIMEOUT
        service.api("POST", f"/quarantines/{quarantine['id']}/release", {"reason": "cleaned"})
        wait_until("it is released", lambda: only_quarantine(service, "released"), seconds=10)
        assert rules_of(bad) == rules_before
        assert traffic.probe_tcp(web.netns_path, bad.address(4), 1, timeout=0.5) is traffic.Probe.REFUSED
        newest_first = service.api("GET", "/audit?limit=500")["records"]
        story = iter([record["action"] for record in reversed(newest_first)])
        assert [action for action in EXPECTED if action not in story] == [], "each stands after the one before"
        assert service.run("audit", "verify").returncode == 0
    assert tampered(tmp_path / "data" / "audit", service)


def only_quarantine(service: RunningService, state: str) -> dict[str, Any] | None:
    """The one quarantine there is, when it is in this state."""
    found = service.api("GET", "/quarantines")["quarantines"]
    assert len(found) <= 1
    return found[0] if found and found[0]["state"] == state else None


def tampered(folder: Path, service: RunningService) -> bool:
    """Change one byte in the middle of the log: the verification must fail."""
    segment = sorted(folder.glob("*.jsonl"))[0]
    text = bytearray(segment.read_bytes())
    text[len(text) // 2] ^= 1
    segment.write_bytes(text)
    checked = service.run("audit", "verify")
    return checked.returncode == 1 and "NOT intact" in checked.stdout
