from __future__ import annotations

import pytest

from audit.report.catalogue import CATALOGUE, ReportUnknown, check_order, make_report
from audit.report.parameters import ParametersInvalid
from audit.report.sources import ReportCancelled
from policy_engine.selector import SelectorInvalid
from tests.support.audit_sources import END, NOW, START, ListTrail, RowFlows, flow, shop

WINDOW = {"start": START.isoformat(), "end": END.isoformat()}


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_every_kind_is_made_of_the_same_call(kind: str) -> None:
    told: list[float] = []
    document = make_report(
        kind,
        WINDOW,
        RowFlows([flow()]),
        shop(),
        ListTrail(),
        lambda: NOW,
        progress=lambda share, what: told.append(share),
    )
    assert (document.kind, document.start, document.end) == (kind, START, END)
    assert document.title == CATALOGUE[kind].title
    assert told == sorted(told) and told[0] == 0.0 and told[-1] == 1.0


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_the_same_data_gives_the_same_digest_and_other_data_another(kind: str) -> None:
    one, same = (make_report(kind, WINDOW, RowFlows([flow()]), shop(), ListTrail(), lambda: NOW) for _ in range(2))
    other = make_report(kind, WINDOW, RowFlows([flow(), flow("web")]), shop(), ListTrail(), lambda: NOW)
    assert one.digest == same.digest != other.digest


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_every_kind_is_made_without_an_audit_log(kind: str) -> None:
    document = make_report(kind, WINDOW, RowFlows([flow()]), shop(), None, lambda: NOW)
    facts = {fact.label: fact.value for fact in document.sections[-1].facts}
    assert "not readable" in str(facts["Audit log"])


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_every_kind_can_be_cancelled(kind: str) -> None:
    with pytest.raises(ReportCancelled):
        make_report(kind, WINDOW, RowFlows([]), shop(), None, lambda: NOW, cancelled=lambda: True)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ReportUnknown) as caught:
        make_report("weather", {}, RowFlows([]), shop(), None, lambda: NOW)
    assert "flow, policy, segmentation" in caught.value.hint


def test_impossible_parameters_are_refused_before_any_work() -> None:
    with pytest.raises(ParametersInvalid):
        make_report("flow", {"start": "2030-01-01"}, RowFlows([]), shop(), None, lambda: NOW)


@pytest.mark.parametrize(
    ("kind", "parameters", "error"),
    [
        ("horoscope", {}, ReportUnknown),
        ("flow", {"scope": "role == 'db'"}, ParametersInvalid),
        ("flow", {"zone": "Moon/Base"}, ParametersInvalid),
        ("segmentation", {"scope": "role =="}, SelectorInvalid),
    ],
    ids=["kind", "another kind's parameter", "zone", "scope"],
)
def test_an_impossible_order_is_refused_before_it_is_made(
    kind: str, parameters: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        check_order(kind, parameters, NOW)


@pytest.mark.parametrize("kind", list(CATALOGUE))
def test_every_kind_takes_the_parameters_it_names(kind: str) -> None:
    given = WINDOW | {"zone": "UTC", "filter": "port: 80", "scope": "role == 'db'", "group_by": "role"}
    check_order(kind, {name: given[name] for name in CATALOGUE[kind].parameters}, NOW)
