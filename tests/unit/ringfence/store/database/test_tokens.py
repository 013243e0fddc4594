from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ringfence.store.database.opening import open_state
from ringfence.store.state import Token

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_taking_a_token_clears_away_what_has_expired() -> None:
    state = open_state("sqlite://")
    state.tokens.add(Token(digest="old", purpose="login", subject="ann", expires=NOW))
    state.tokens.add(Token(digest="new", purpose="login", subject="bob", expires=NOW + timedelta(hours=1)))
    assert state.tokens.take(digest="new", purpose="login", now=NOW, consume=True) == "bob"
    before = NOW - timedelta(hours=1)
    assert state.tokens.take(digest="old", purpose="login", now=before, consume=False) is None
    state.close()
