"""Reports of the enforcer wait while the store is away, in order, and are never in the enforcer's way."""

from __future__ import annotations

import pytest

from ringfence import metrics
from ringfence.errors import StoreUnavailable
from ringfence.model.enforcement import Drift
from ringfence.service.reported import Report, Reported
from tests.support.estate import NOW


def _drift(name: str) -> Drift:
    return Drift(workload=name, found=NOW, repaired=NOW, what="a rule is gone")


class Store:
    def __init__(self) -> None:
        self.taken: list[str] = []
        self.away = True

    def take(self, report: Report) -> None:
        if self.away:
            raise StoreUnavailable("away")
        assert isinstance(report, Drift)
        self.taken.append(report.workload)


def test_what_could_not_be_kept_is_kept_later_and_in_order() -> None:
    store = Store()
    reported = Reported(store.take)
    for name in ("a", "b"):
        reported.put(_drift(name))
    with pytest.raises(StoreUnavailable):
        reported.step()
    reported.put(_drift("c"))
    store.away = False
    reported.step()
    reported.step()
    assert store.taken == ["a", "b", "c"]


def test_beyond_the_limit_the_oldest_is_dropped_and_counted() -> None:
    store = Store()
    reported = Reported(store.take, waiting=2)
    before = metrics.REPORTS_DROPPED._value.get()
    for name in ("a", "b", "c"):
        reported.put(_drift(name))
    assert metrics.REPORTS_DROPPED._value.get() == before + 1
    store.away = False
    reported.step()
    assert (store.taken, reported.dropped) == (["b", "c"], 1)


def test_whoever_hands_on_is_woken() -> None:
    woken: list[str] = []
    reported = Reported(Store().take)
    reported.wake = lambda: woken.append("now")
    reported.put(_drift("a"))
    assert woken == ["now"]
