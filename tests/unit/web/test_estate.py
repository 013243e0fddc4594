"""The estate in one sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from ringfence.model.finding import Finding, FindingKind, FindingState, Severity
from ringfence.model.gap import Gap, GapCause
from ringfence.model.workload import WorkloadKind
from ringfence.store.state import HostStatus
from tests.support.estate import NOW
from tests.support.site import Site, workload
from web.estate import estate_of, inside, is_calm, proofs_of, staleness, status_sentence
from web.window import Window, preset_window

LAST_HOUR = preset_window("1h", ZoneInfo("UTC"), NOW)


def test_what_is_wrong_is_counted(shop: Site) -> None:
    now = shop.clock()
    estate = estate_of(shop.state, now)
    gap = Gap(id="g", host="h", started=now, ended=now, cause=GapCause.UNREADABLE)
    text = status_sentence(estate, [gap], [], LAST_HOUR)
    assert "workloads violate policy" in text
    assert "1 quarantined" in text
    assert "policy is not fully in force on 1 workload" in text
    assert "1 gap in the last hour" in text
    assert "not heard of lately" in text
    assert not is_calm(estate, [], [])


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (LAST_HOUR, "1 gap in the last hour"),
        (preset_window("7d", ZoneInfo("UTC"), NOW), "1 gap in the last 7 days"),
        (LAST_HOUR.before, "1 gap in the chosen time range"),
    ],
    ids=["hour", "week", "chosen"],
)
def test_gaps_are_told_with_the_time_that_was_looked_at(site: Site, window: Window, words: str) -> None:
    gap = Gap(id="g", host="h", started=NOW, ended=NOW, cause=GapCause.UNREADABLE)
    assert status_sentence(estate_of(site.state, NOW), [gap], [], window) == words


def test_an_empty_estate_is_not_called_calm(site: Site) -> None:
    estate = estate_of(site.state, site.clock())
    assert status_sentence(estate, [], [], LAST_HOUR) == "No host reports yet"
    assert not is_calm(estate, [], [])


def test_a_calm_estate_says_how_much_was_looked_at(site: Site) -> None:
    site.state.hosts.report(HostStatus(host="h", at=site.clock(), facts={}))
    estate = estate_of(site.state, site.clock())
    assert is_calm(estate, [], [])
    assert (
        status_sentence(estate, [], [], LAST_HOUR)
        == "Nothing needs action: 0 workloads on 1 host, no gaps in the last hour"
    )


def test_time_that_nobody_watched_is_no_calm(site: Site) -> None:
    site.state.hosts.report(HostStatus(host="h", at=site.clock(), facts={}))
    estate, late = estate_of(site.state, site.clock()), ["not watched from the start of the window: h"]
    assert not is_calm(estate, [], late)
    assert status_sentence(estate, [], late, LAST_HOUR) == (
        "Nothing recorded needs action: 0 workloads on 1 host, no gaps in the last hour; "
        "not watched from the start of the window: h"
    )


def test_networks_outside_are_no_workloads_of_ours(site: Site) -> None:
    site.state.workloads.save([workload(0, NOW), replace(workload(1, NOW), kind=WorkloadKind.EXTERNAL)])
    assert [item.name for item in inside(site.state)] == ["visitor"]
    assert estate_of(site.state, NOW).workloads == 1


def test_a_silent_host_says_since_when(site: Site) -> None:
    now = site.clock()
    assert staleness(HostStatus(host="h", at=now, facts={}), now) == ""
    assert staleness(HostStatus(host="h", at=now - timedelta(seconds=43), facts={}), now) == "last heard 43 s ago"


def found(site: Site, kind: FindingKind, severity: Severity, workload: str | None = None) -> Finding:
    now = site.clock()
    return Finding(
        id=f"f-{kind.value}-{severity.value}",
        key=f"{kind.value}/{severity.value}",
        kind=kind,
        severity=severity,
        sentence="Something.",
        workload_name=workload,
        first_seen=now,
        last_seen=now,
    )


@pytest.mark.parametrize("kind", FindingKind)
def test_an_open_finding_of_any_kind_is_named_and_ends_the_calm(site: Site, kind: FindingKind) -> None:
    site.state.hosts.report(HostStatus(host="h", at=site.clock(), facts={}))
    finding = found(site, kind, Severity.HIGH)
    site.state.findings.record(finding)
    estate = estate_of(site.state, site.clock())
    assert not is_calm(estate, [], [])
    assert status_sentence(estate, [], [], LAST_HOUR) == "1 high finding"
    site.state.findings.update(replace(finding, state=FindingState.ACKNOWLEDGED))
    assert is_calm(estate_of(site.state, site.clock()), [], [])


def test_a_finding_that_only_informs_leaves_the_calm(site: Site) -> None:
    site.state.hosts.report(HostStatus(host="h", at=site.clock(), facts={}))
    site.state.findings.record(found(site, FindingKind.DETECTION, Severity.INFO))
    assert is_calm(estate_of(site.state, site.clock()), [], [])


def test_a_violation_is_told_once_and_the_others_beside_it(site: Site) -> None:
    site.state.hosts.report(HostStatus(host="h", at=site.clock(), facts={}))
    site.state.findings.record(found(site, FindingKind.POLICY_VIOLATION, Severity.HIGH, "db"))
    site.state.findings.record(found(site, FindingKind.COMPLIANCE, Severity.LOW))
    estate = estate_of(site.state, site.clock())
    assert status_sentence(estate, [], [], LAST_HOUR) == "1 workload violates policy, 1 low finding"


def test_a_failure_on_a_workload_that_has_ended_is_history(own_shop: Site) -> None:
    mail = own_shop.workloads()["mail"]
    assert estate_of(own_shop.state, own_shop.clock()).unsound == 1
    assert mail.id in {item.workload for item in proofs_of(own_shop.state)}
    own_shop.state.workloads.save([replace(mail, ended=own_shop.clock())])
    assert estate_of(own_shop.state, own_shop.clock()).unsound == 0
    assert mail.id not in {item.workload for item in proofs_of(own_shop.state)}
