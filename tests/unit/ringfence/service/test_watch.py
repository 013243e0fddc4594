"""The watching half is built from the configuration, and refuses a selector that cannot be read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from audit.report.completeness import unrecorded
from collector.host import NOT_TOLD
from collector.inventory import Listing
from collector.spool import Spool
from ringfence.clock import utc_now
from ringfence.config import load
from ringfence.doctor.host import Host
from ringfence.errors import ConfigError, StoreAway, StoreUnavailable
from ringfence.model.flow import FlowBatch
from ringfence.model.quarantine import Quarantine, QuarantineState
from ringfence.service.accounting import Accounting
from ringfence.service.feed import Feed
from ringfence.service.policy import PolicyInForce
from ringfence.service.watch import Watch
from ringfence.store.flows import FlowStore
from tests.support.doctor_host import AnsweringHost
from tests.support.estate import NOW, Estate, flow_row, flow_table
from tests.support.tracked import workload
from tests.support.wait import wait_until


def _watch(
    estate: Estate, machine: Host | None = None, feed: Feed | None = None, flows: Any = None, **flags: str
) -> Watch:
    settings = {"general.data_dir": str(estate.folder), "docker.endpoints": "", "general.host": "h1"}
    return Watch(
        config=load(environment={}, flags=settings | flags),
        state=estate.state,
        flows=flows or estate.flows,
        policy=PolicyInForce(estate.state.policies),
        accounting=Accounting(estate.audit),
        feed=feed or Feed(),
        machine=machine,
    )


def test_quarantines_are_restored_before_anything_else_is_enforced_and_the_collector_stops_first(
    tmp_path: Path,
) -> None:
    with Estate(tmp_path) as estate:
        names = [part.name for part in _watch(estate).parts()]
        assert names[0] == "restore"
        assert names[-1] == "collector"
        assert names.index("enforcer") < names.index("enforcing")


def test_an_unreadable_selector_of_the_protected_is_refused(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate, pytest.raises(ConfigError, match=r"enforce\.protected"):
        _watch(estate, **{"enforce.protected": "role =="})


def test_what_cannot_be_enforced_is_a_limit_as_well(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        watch = _watch(estate, AnsweringHost(commands=frozenset()))
        assert any("iptables is not installed" in line for line in watch.limits())


def test_a_loop_that_never_started_is_not_called_stalled(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        assert _watch(estate).stalled() == ()


def test_only_quarantines_of_this_kernels_hosts_are_restored(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        for name, host in (("ours", "h1"), ("engine's", "e1"), ("other's", "h2")):
            order = Quarantine(
                id=name,
                workload=name,
                workload_name=name,
                host=host,
                state=QuarantineState.VERIFIED,
                reason="scan",
                author="ada",
                created=NOW,
                expires=NOW + timedelta(hours=1),
            )
            estate.state.quarantines.add(order)
        watch = _watch(estate, **{"docker.endpoints": "e1=unix:///nowhere"})
        restored: list[str] = []
        watch.enforcer.restore = lambda items: restored.extend(item.id for item in items)  # type: ignore[method-assign]
        watch.parts()[0].start()
        assert sorted(restored) == ["engine's", "ours"]


def test_a_policy_that_is_refused_is_a_limit_with_the_reason(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.policies.apply(text="version: 99\n", author="ada", reason="", at=NOW)
        (said,) = [line for line in _watch(estate).limits() if "policy" in line]
        assert said.startswith("policy revision 1 is refused (line 1: version: ")


def test_what_the_enforcer_proves_in_the_background_is_in_the_audit_log(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        order = Quarantine(
            id="q1",
            workload="w1",
            workload_name="w1",
            host="h1",
            state=QuarantineState.FAILED,
            reason="scan",
            author="ada",
            created=NOW,
            expires=NOW + timedelta(hours=1),
        )
        estate.state.quarantines.add(order)
        watch = _watch(estate)
        watch._reported.put(replace(order, state=QuarantineState.VERIFIED))
        watch._reported.step()
        assert estate.actions() == ["enforcer: quarantine state changed w1"]


def test_named_networks_outside_are_stored_and_end_when_they_are_no_longer_named(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        watch = _watch(estate)
        office = [{"id": "o", "name": "office", "networks": {"wan": {"addresses": ["198.51.100.0/24", "192.0.2.7"]}}}]
        (estate.folder / "workloads.json").write_text(json.dumps(office))
        watch.collector.start()
        try:
            wait_until("it is stored", lambda: [item for item in estate.state.workloads.current() if item.id == "o@h1"])
            watch._endings.step()
            (found,) = [item for item in estate.state.workloads.current() if item.id == "o@h1"]
            assert [str(item) for item in (*found.networks, *found.addresses)] == ["198.51.100.0/24", "192.0.2.7"]
            (estate.folder / "workloads.json").write_text("[]")
            wait_until("it is no longer named", lambda: not watch.collector.inventory.snapshot().external)
            watch._endings.step()
            assert not [item for item in estate.state.workloads.current() if item.id == "o@h1"]
        finally:
            watch.collector.stop()


def test_a_heartbeat_says_how_far_the_policy_has_come_and_tells_it_when_it_changed(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        watch = _watch(estate)
        watch._heartbeat()
        assert estate.state.hosts.list()[0].facts["rollout"] is None
        told = watch._feed.last()
        watch._enforcing._compiled = 3
        for _ in range(2):
            watch._heartbeat()
        assert estate.state.hosts.list()[0].facts["rollout"] == {"revision": 3, "workloads": 0}
        topics = [message.topic for message in watch._feed.after(told, 0)]
        assert topics == ["host", "enforcement", "host"]


def test_a_heartbeat_says_since_when_flows_wait_for_a_store_that_takes_none(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        began = utc_now() - timedelta(minutes=5)
        left = Spool(estate.folder / "spool", host="h1", max_bytes=1 << 20)
        left.put(FlowBatch(id="", host="h1", flows=flow_table(flow_row(1)), gaps=()))
        (waiting,) = (estate.folder / "spool").glob("*.arrow")
        os.utime(waiting, (began.timestamp(), began.timestamp()))
        watch = _watch(estate)
        watch._heartbeat()
        (host,) = estate.state.hosts.list()
        assert abs(datetime.fromisoformat(host.facts["held_up_since"]) - began) < timedelta(seconds=1)
        assert unrecorded(estate.state, host.at)[0].endswith("still waits in the spool of h1")
        watch._shipping.step()
        watch._heartbeat()
        assert estate.state.hosts.list()[0].facts["held_up_since"] is None


def test_rules_follow_the_inventory_whatever_the_state_store_does(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        watch = _watch(estate)
        watch._enforcing._inventory_changed.clear()
        watch.collector.inventory.replace("test", Listing(workloads=(workload("web", 7, "10.1.0.2"),)))
        assert watch._enforcing._inventory_changed.is_set()
        assert [item.name for item in estate.state.workloads.current()] == []


def test_what_the_flow_store_has_as_open_is_asked_again_until_it_answers(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.flows.append(
            FlowBatch(id="b", host="h1", flows=flow_table(flow_row(3, host="h1", end_reason=None, ended=None)), gaps=())
        )
        flows = Leaving(estate.flows)
        watch = _watch(estate, flows=flows)
        assert NOT_TOLD in watch.limits()
        watch._shipping.step()
        assert {NOT_TOLD, "flows wait in the spool: nobody is there"} <= set(watch.limits())
        flows.away = False
        watch._shipping.step()
        assert not any("flows wait" in line for line in watch.limits())
        assert watch.collector._resume is not None
        assert watch.collector._resume["flow_id"].to_pylist() == [flow_row(3)["flow_id"]]


def test_a_flow_store_that_refuses_ends_the_start(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        flows = Leaving(estate.flows)
        flows.problem = StoreUnavailable("the password is wrong")
        with pytest.raises(StoreUnavailable, match="password"):
            _watch(estate, flows=flows)


class Leaving:
    """A flow store that is away at first."""

    def __init__(self, flows: FlowStore) -> None:
        self._flows, self.away = flows, True
        self.problem: StoreUnavailable = StoreAway("nobody is there")

    def open_flows(self, host: str) -> pa.Table:
        if self.away:
            raise self.problem
        return self._flows.open_flows(host)


def test_workloads_and_the_heartbeat_of_the_host_are_told_to_pages(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        feed = Feed()
        watch = _watch(estate, feed=feed)
        watch._keep_workloads(())
        watch._heartbeat()
        assert [message.topic for message in feed.after(0, 0)] == ["workload", "host"]
