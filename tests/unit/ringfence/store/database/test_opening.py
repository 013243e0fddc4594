from __future__ import annotations

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from ringfence.store import migrations
from ringfence.store.database.connection import connect
from ringfence.store.database.opening import migrate, open_state


def test_migrating_twice_changes_nothing() -> None:
    database = connect("sqlite://")
    with database.writing() as connection:
        migrate(connection)
        migrate(connection)
        assert connection.execute(sa.text("SELECT count(*) FROM policy_revisions")).scalar() == 1
    database.close()


def test_there_is_one_newest_revision() -> None:
    assert len(ScriptDirectory(next(iter(migrations.__path__))).get_heads()) == 1


def test_each_memory_database_is_a_new_one() -> None:
    one, other = open_state("sqlite://"), open_state("sqlite://")
    one.rule_numbers.lookup(1)
    assert one.policies.current() == other.policies.current()
    one.close()
    other.close()
