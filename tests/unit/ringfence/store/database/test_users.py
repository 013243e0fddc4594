from __future__ import annotations

from ringfence.store.database.opening import open_state
from ringfence.store.state import Role, User


def test_a_name_is_exact_and_saved_once() -> None:
    state = open_state("sqlite://")
    for role in (Role.VIEWER, Role.ADMIN):
        state.users.save(User(name="ann", role=role, password_hash="x"))
    assert [(user.name, user.role) for user in state.users.list()] == [("ann", Role.ADMIN)]
    assert state.users.get("Ann") is None
    state.close()
