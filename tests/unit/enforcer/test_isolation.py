"""Putting a proof together."""

from __future__ import annotations

from enforcer.connections import Cut
from enforcer.isolation import isolate, refused
from enforcer.kernel import Access
from enforcer.netns import Netns
from enforcer.place import Place
from enforcer.plan import namespace_plan
from enforcer.scope import Scope
from ringfence.errors import EnforcementFailed
from ringfence.model.quarantine import Quarantine, QuarantineState
from tests.support.fake_kernel import FakeKernel
from tests.support.rulesets import START, quarantine, ruleset, workload


class Uncuttable(FakeKernel):
    def cut(self, netns: Netns, scope: Scope | None, access: Access = ()) -> Cut:
        raise EnforcementFailed("conntrack is not installed")


def isolated(kernel: FakeKernel, earlier: int | None = None) -> Quarantine:
    netns = kernel.add(1)
    kernel.namespaces[1].connections = 3
    order = quarantine(workload(netns), connections_cut=earlier)
    observed = Place(netns, kernel).settle(namespace_plan(ruleset(), order, 0xFF00)).observed
    return isolate(order, observed, kernel=kernel, netns=netns, scope=None, clock=lambda: START)


def test_every_check_passed_is_verified() -> None:
    done = isolated(FakeKernel())
    assert done.state is QuarantineState.VERIFIED
    assert done.proof is not None
    assert done.proof.at == START


def test_connections_cut_add_up_over_proofs() -> None:
    assert isolated(FakeKernel()).connections_cut == 3
    assert isolated(FakeKernel(), earlier=4).connections_cut == 7


def test_a_step_that_could_not_be_done_is_partial_with_its_reason() -> None:
    done = isolated(Uncuttable())
    assert done.state is QuarantineState.PARTIAL
    assert done.connections_cut is None
    assert done.proof is not None
    assert [check.detail for check in done.proof.checks if not check.passed] == ["conntrack is not installed"]


def test_a_refusal_is_failed_and_says_why() -> None:
    done = refused(quarantine(workload(Netns(inode=1, path="/"))), "containment", "because", lambda: START)
    assert done.state is QuarantineState.FAILED
    assert done.proof is not None
    assert not done.proof.holds
