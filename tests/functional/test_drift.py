"""Rules changed behind the enforcer's back: found by notification or fingerprint, put back, recorded."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from enforcer.clean import clean
from enforcer.kernel import SystemKernel
from enforcer.netns import Netns
from enforcer.reconcile import Enforcer
from ringfence.clock import utc_now
from ringfence.config import Enforce
from ringfence.errors import EnforcementFailed
from ringfence.model.enforcement import Drift, Enforcement, EnforcementState
from ringfence.model.quarantine import Quarantine, QuarantineState
from tests.support.kernel_agreement import WORKLOAD, Pair
from tests.support.namespaces import Fabric
from tests.support.require import require
from tests.support.rulesets import DENY_ALL, address_set, quarantine, rule, ruleset, service, workload
from tests.support.traffic import Probe, TcpEcho, probe_tcp
from tests.support.wait import wait_until

pytestmark = pytest.mark.root
REPAIR_SECONDS = 5.0
POLICY = ruleset([rule(16, True, "peers", service(6, 80)), DENY_ALL], sets=[address_set("peers", "10.0.0.0/8")])
RESTORED = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"


@pytest.fixture
def pair(fabric: Fabric) -> Pair:
    require("iptables", "ip6tables", "ipset", "nft")
    return Pair.wired(fabric)


@contextlib.contextmanager
def enforced(pair: Pair, settings: Enforce | None = None) -> Iterator[tuple[Enforcer, list[Drift], list[object]]]:
    """A running enforcer that holds POLICY, and the drifts and everything it reports."""
    settings = settings or Enforce(drift_seconds=1.0)
    drifts: list[Drift] = []
    other: list[object] = []

    def report(item: Enforcement | Drift | Quarantine) -> None:
        (drifts if isinstance(item, Drift) else other).append(item)  # type: ignore[arg-type]

    enforcer = Enforcer(settings, host="h", clock=utc_now, kernel=SystemKernel(settings), report=report)
    target = workload(pair.netns)
    enforcer.start()
    try:
        enforcer.desire([target], {target.id: POLICY})
        wait_until("the rules are in force", lambda: any(isinstance(item, Enforcement) for item in other))
        time.sleep(0.3)  # the enforcer's own notifications come back to it
        yield enforcer, drifts, other
    finally:
        enforcer.stop()


def saved(pair: Pair, prefix: str = "") -> str:
    texts = [
        pair.workload.run(*command)
        for command in ((f"iptables{prefix}-save",), (f"ip6tables{prefix}-save",), ("ipset", "save"))
    ]
    return re.sub(r"\[\d+:\d+\]|^#.*$", "", "\n".join(texts), flags=re.MULTILINE)


SET = "$(SET)"
INTERFERENCE = {
    "all rules flushed": ["iptables", "-F"],
    "IPv6 flushed": ["ip6tables", "-F"],
    "the jump deleted": ["iptables", "-D", "INPUT", "1"],
    "a rule inserted above": ["iptables", "-I", "INPUT", "1", "-j", "ACCEPT"],
    "a rule inserted into our chain": ["iptables", "-I", "RINGFENCE-IN", "1", "-j", "ACCEPT"],
    "a rule deleted from our chain": ["ip6tables", "-D", "RINGFENCE-OUT", "1"],
    "the set flushed": ["ipset", "flush", SET],
    "a member added": ["ipset", "add", SET, "192.0.2.0/24"],
    "a member removed": ["ipset", "del", SET, "10.0.0.0/8"],
    "the nft ruleset flushed": ["nft", "flush", "ruleset"],
}


@pytest.mark.parametrize("command", INTERFERENCE.values(), ids=INTERFERENCE.keys())
def test_it_is_put_back_within_five_seconds_and_recorded(pair: Pair, command: list[str]) -> None:
    with enforced(pair) as (enforcer, drifts, _):
        before = saved(pair)
        name = next(line.split()[1] for line in before.splitlines() if line.startswith("create ringfence4"))
        pair.workload.run(*(name if word == SET else word for word in command))
        (drift,) = wait_until("the drift is repaired", lambda: tuple(drifts), seconds=REPAIR_SECONDS)
        assert _sorted(saved(pair).replace("\n-A INPUT -j ACCEPT", "")) == _sorted(before)
        assert drift.workload == "w1"
        assert timedelta(0) < drift.repaired - drift.found < timedelta(seconds=REPAIR_SECONDS)
        assert wait_until("the status counts it", lambda: enforcer.statuses()[0].drifts) == 1


def _sorted(text: str) -> list[str]:
    """Sets have no order, and a swap gives them another initial value."""
    return sorted(re.sub(r"initval \S+", "", text).splitlines())


def test_a_comment_that_stays_on_a_changed_rule_does_not_deceive(pair: Pair) -> None:
    with enforced(pair) as (_, drifts, _other):
        rules = pair.workload.run("iptables", "-S", "RINGFENCE-IN").splitlines()
        drop = next(line for line in rules if line.endswith("-j DROP"))
        comment = re.search(r'--comment "?(rf:[0-9a-f]+)', drop)
        assert comment is not None
        number = str(rules.index(drop))
        pair.workload.run(
            "iptables", "-R", "RINGFENCE-IN", number, "-m", "comment", "--comment", comment[1], "-j", "ACCEPT"
        )
        wait_until("the drift is repaired", lambda: drifts, seconds=REPAIR_SECONDS)
        assert drop in pair.workload.run("iptables", "-S", "RINGFENCE-IN")


def test_a_restore_by_somebody_else_is_undone(pair: Pair) -> None:
    with enforced(pair) as (_, drifts, _other), TcpEcho(pair.workload.path, WORKLOAD[0], 81):
        pair.workload.run("iptables-restore", input=RESTORED)
        wait_until("the drift is repaired", lambda: drifts, seconds=REPAIR_SECONDS)
        assert probe_tcp(pair.client.path, WORKLOAD[0], 81, timeout=0.3) is Probe.TIMEOUT


def test_rules_of_others_are_no_drift(pair: Pair) -> None:
    with enforced(pair) as (_, drifts, _other):
        pair.workload.run("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "1", "-j", "ACCEPT")
        pair.workload.run("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "1", "-j", "DROP")
        pair.workload.run("ipset", "create", "theirs", "hash:ip")
        time.sleep(2.5)
        assert not drifts


@pytest.mark.parametrize("family", ["ip", "ip6"])
def test_rules_that_only_nft_can_show_fail_it_and_nothing_is_written_over_them(pair: Pair, family: str) -> None:
    with enforced(pair) as (enforcer, drifts, _):
        # Something that has no word in iptables, as a ruleset of nft's own brings it.
        pair.workload.run("nft", f"add rule {family} filter INPUT meta mark set numgen inc mod 4")
        generation = _generation(pair)
        wait_until("it is told", lambda: enforcer.statuses()[0].state is EnforcementState.FAILED)
        assert "only nft can show" in enforcer.statuses()[0].reason
        time.sleep(2.5)
        assert _generation(pair) == generation
        with pytest.raises(EnforcementFailed, match="only nft can show"):
            clean(SystemKernel(Enforce()), [pair.netns])
        pair.workload.run("nft", "flush", "ruleset")
        in_force = EnforcementState.IN_FORCE
        wait_until("it is put back", lambda: enforcer.statuses()[0].state is in_force, seconds=3 * REPAIR_SECONDS)
        assert len(drifts) == 1


def test_nothing_is_written_while_nothing_changes(pair: Pair) -> None:
    with enforced(pair):
        generation = _generation(pair)
        time.sleep(2.5)
        assert _generation(pair) == generation


def _generation(pair: Pair) -> str:
    handles: str = pair.workload.run("nft", "-a", "list", "ruleset")
    return re.sub(r"packets \d+ bytes \d+", "", handles)


def test_the_legacy_backend_is_repaired_by_polling(pair: Pair) -> None:
    require("iptables-legacy")
    with enforced(pair, Enforce(backend="legacy", drift_seconds=1.0)) as (_, drifts, _other):
        before = saved(pair, "-legacy")
        pair.workload.run("iptables-legacy", "-F")
        wait_until("the drift is repaired", lambda: drifts, seconds=REPAIR_SECONDS)
        assert _sorted(saved(pair, "-legacy")) == _sorted(before)


def test_a_quarantine_that_was_flushed_away_is_proven_again(pair: Pair) -> None:
    with enforced(pair) as (enforcer, drifts, other):
        target = workload(pair.netns)
        enforcer.order(target, quarantine(target))
        pair.workload.run("iptables", "-F")
        wait_until("the drift is repaired", lambda: drifts, seconds=REPAIR_SECONDS)
        proven = wait_until("it is proven again", lambda: [item for item in other if isinstance(item, Quarantine)])
        assert proven[-1].state is QuarantineState.VERIFIED


def test_somebody_who_never_stops_is_reported_and_does_not_make_us_spin(pair: Pair) -> None:
    with enforced(pair) as (enforcer, drifts, _other):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            pair.workload.run("iptables", "-F", "RINGFENCE-IN", check=False)
            time.sleep(0.1)
        assert enforcer.statuses()[0].state is EnforcementState.PARTIAL
        assert "keeps changing" in enforcer.statuses()[0].reason
        assert len(drifts) <= 14, "ten repairs at once, then one every four seconds"
        wait_until("the last change is put back", lambda: "rf:" in pair.workload.run("iptables", "-S", "RINGFENCE-IN"))


def test_rules_stay_when_the_enforcer_stops(pair: Pair) -> None:
    with enforced(pair):
        before = saved(pair)
    assert saved(pair) == before


def test_a_namespace_that_ends_is_let_go(fabric: Fabric) -> None:
    require("iptables")
    namespace = fabric.namespace("brief")
    netns = Netns(inode=namespace.inode, path=str(namespace.path))
    kernel = SystemKernel(Enforce())
    watch = kernel.watch()
    try:
        assert watch.wait([netns], 0.1) == {netns.inode: 0.0}
        namespace.run("iptables", "-A", "INPUT", "-j", "ACCEPT")
        assert netns.inode in watch.wait([netns], 2.0)
        assert watch.wait([], 0.0) == {}
    finally:
        watch.close()
