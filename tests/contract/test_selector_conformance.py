"""Our selectors mean what Calico's own test cases say. Collected only where the cases are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from policy_engine.selector import SelectorInvalid, compile_selector
from tests.support.conformance import CALICO_SELECTORS

CASES: dict[str, Any] = json.loads(CALICO_SELECTORS.read_text(encoding="utf-8"))


def test_calico_cases_match_as_calico_says() -> None:
    checked = 0
    for case in CASES["tests"]:
        matcher = compile_selector(str(case["selector"]))
        for key, expected in (("matches", True), ("non_matches", False)):
            # The data writes an empty list and a list of one empty label set alike; such lists say nothing.
            label_sets = case[key] if case[key] != [{}] else []
            for labels in label_sets:
                assert matcher(labels) is expected, (case["selector"], labels)
                checked += 1
    assert checked >= 90


@pytest.mark.parametrize("text", CASES["bad"])
def test_what_calico_refuses_is_refused_with_an_offset_inside_the_text(text: str) -> None:
    with pytest.raises(SelectorInvalid) as caught:
        compile_selector(text)
    assert 0 <= caught.value.offset <= len(text)
