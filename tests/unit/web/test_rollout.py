"""How far the policy has come in the kernels."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ringfence.model.enforcement import Enforcement, EnforcementState
from ringfence.store.state import HostStatus
from tests.support.estate import API, DB, NOW, Estate
from web.estate import estate_of
from web.rollout import PolicyRollout, rollout_of


def rollout(estate: Estate, **hosts: Any) -> PolicyRollout:
    """After one revision was applied; of each host the facts, and the seconds since it was heard, if any."""
    if not estate.state.policies.current().revision:
        estate.state.policies.apply(text="version: 1\n", author="ada", reason="r", at=NOW)
    for name, facts in hosts.items():
        silent = timedelta(seconds=facts.pop("silent", 1))
        estate.state.hosts.report(HostStatus(host=name, at=NOW - silent, facts=facts))
    return rollout_of(estate.state, NOW)


def said(revision: int = 1, workloads: int = 2, **states: int) -> dict[str, Any]:
    counts = {name.replace("_", " "): count for name, count in states.items()}
    return {"rollout": {"revision": revision, "workloads": workloads, **counts}}


@pytest.mark.parametrize(
    ("hosts", "sentence", "settled"),
    [
        ({"a": said(in_force=2)}, "Revision 1: in force on 2 of 2 workloads", True),
        ({"a": said(in_force=1)}, "Revision 1: in force on 1 of 2 workloads, 1 waiting", False),
        (
            {"a": said(in_force=2), "b": said(workloads=3, in_force=1, failed=1, not_containable=1)},
            "Revision 1: in force on 3 of 5 workloads, 1 failed, 1 not containable",
            False,
        ),
        ({"a": said(revision=0, in_force=2)}, "Revision 1: in force on 0 of 2 workloads, 2 waiting", False),
        ({"a": said(workloads=0)}, "Revision 1: no workload has rules yet", False),
        ({}, "Revision 1: no host says that it is in force", False),
        ({"a": {"events": 1}}, "Revision 1: no host says that it is in force", False),
        ({"a": said(in_force=2), "b": {}}, "Revision 1: in force on 2 of 2 workloads", False),
    ],
    ids=[
        "all",
        "waiting",
        "two-hosts",
        "former-revision",
        "nothing-to-enforce",
        "no-host",
        "older-host",
        "one-is-mute",
    ],
)
def test_the_figures_are_those_of_the_hosts(tmp_path: Path, hosts: Any, sentence: str, settled: bool) -> None:
    with Estate(tmp_path) as estate:
        found = rollout(estate, **hosts)
        assert (found.sentence, found.settled) == (sentence, settled)


def test_a_host_that_is_silent_or_behind_is_named(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        refusal = "policy revision 1 is refused (line 1: version): the rules of before stay in the kernel"
        found = rollout(
            estate,
            a=said(in_force=2) | {"silent": 74},
            b=said(revision=0, in_force=2) | {"limits": ["no IPv6", refusal]},
            c=said(revision=0),
        )
        assert found.notes == (
            "host a was last heard 1 m 14 s ago: its workloads are not counted",
            f"host b has revision 0: {refusal}",
            "host c has revision 0 so far",
        )
        assert found.workloads == 4


def test_reasons_stand_with_the_names_of_the_workloads(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        estate.state.workloads.save([API, DB])
        for workload, state in ((API, EnforcementState.FAILED), (DB, EnforcementState.FAILED)):
            estate.state.enforcements.save(
                Enforcement(workload=workload.id, host="h1", state=state, digest="d", since=NOW, reason="no ipset")
            )
        found = rollout(estate, h1=said(failed=2))
        (trouble,) = found.troubles
        assert (trouble.state, trouble.reason) == ("failed", "no ipset")
        assert trouble.workloads == {API.id: "api", DB.id: "db"}
        assert found.failing
        over = rollout(estate, h1=said(in_force=2))
        assert (over.troubles, over.failing) == ((), False), "a reason of before is none"


def test_a_host_out_of_service_is_no_part_of_it(tmp_path: Path) -> None:
    with Estate(tmp_path) as estate:
        rollout(estate, a=said(in_force=2), b=said(in_force=1) | {"silent": 9_000})
        estate.state.hosts.retire("b", at=NOW, reason="scrapped")
        found = rollout(estate)
        assert (found.sentence, found.notes) == ("Revision 1: in force on 2 of 2 workloads", ())
        seen = estate_of(estate.state, NOW)
        assert ([host.host for host in seen.hosts], seen.stale) == (["a"], ())
