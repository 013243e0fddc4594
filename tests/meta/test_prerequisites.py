"""A missing prerequisite is a visible skip for a person and a failure in CI."""

from __future__ import annotations

import pytest

from tests.support.require import require


def test_what_is_there_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    require("sh", "ls")


def test_a_person_sees_a_skip_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is not installed"):
        require("sh", "no-such-program")


@pytest.mark.parametrize("value", ["true", "1", "TRUE"])
def test_ci_sees_a_failure(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        require("no-such-program")
