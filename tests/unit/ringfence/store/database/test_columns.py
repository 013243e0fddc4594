from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ringfence.store.database.columns import UTCTime

AT = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
def test_a_time_is_kept_in_utc(dialect: sa.Dialect) -> None:
    stored = UTCTime().process_bind_param(AT, dialect)
    assert stored is not None
    found = UTCTime().process_result_value(stored, dialect)
    assert found == AT
    assert found.tzinfo is UTC
    assert UTCTime().process_bind_param(None, dialect) is UTCTime().process_result_value(None, dialect) is None


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        UTCTime().process_bind_param(AT.replace(tzinfo=None), sqlite.dialect())
