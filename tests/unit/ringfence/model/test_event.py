from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ringfence.model.event import AuditEvent, EventAction


def test_the_detail_of_an_event_cannot_be_changed_afterwards() -> None:
    detail: dict[str, Any] = {"revision": 1}
    event = AuditEvent(
        at=datetime(2026, 1, 1, tzinfo=UTC), actor="ann", action=EventAction.LOGIN, target="web", detail=detail
    )
    detail["revision"] = 2
    assert event.detail == {"revision": 1}
    with pytest.raises(TypeError):
        event.detail["revision"] = 2  # type: ignore[index]


def test_actions_are_distinct_lower_case_words() -> None:
    values = [action.value.replace("API", "api") for action in EventAction]
    assert len(set(values)) == len(values)
    assert values == [value.lower() for value in values]
