"""The watching half is built from the configuration, and refuses a selector that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.config import load
from ringfence.errors import ConfigError
from ringfence.service.accounting import Accounting
from ringfence.service.feed import Feed
from ringfence.service.policy import PolicyInForce
from ringfence.service.watch import Watch
from tests.support.estate import Estate


def _watch(estate: Estate, **flags: str) -> Watch:
    settings = {"general.data_dir": str(estate.folder), "docker.endpoints": "", "general.host": "h1"}
    return Watch(
        config=load(environment={}, flags=settings | flags),
        state=estate.state,
        flows=estate.flows,
        policy=PolicyInForce(estate.state.policies),
        accounting=Accounting(estate.audit),
        feed=Feed(),
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
