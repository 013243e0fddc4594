from __future__ import annotations

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
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


def test_reports_of_before_are_as_far_as_their_state_says() -> None:
    database = connect("sqlite://")
    script = ScriptDirectory(next(iter(migrations.__path__)))
    with database.writing() as connection:
        with EnvironmentContext(Config(), script) as environment:
            environment.configure(
                connection=connection, fn=lambda revision, _context: script._upgrade_revs("0005", revision)
            )
            environment.run_migrations()
        for state in ("done", "running"):
            connection.execute(
                sa.text(
                    "INSERT INTO reports (id, kind, title, created, author, parameters, digest, files, state, error)"
                    " VALUES (:state, 'flow', 't', '2026-01-01 00:00:00', 'a', '{}', '', '{}', :state, '')"
                ),
                {"state": state},
            )
        migrate(connection)
        rows = connection.execute(sa.text("SELECT id, progress, step FROM reports ORDER BY id")).all()
        assert [tuple(row) for row in rows] == [("done", 100, ""), ("running", 0, "")]
    database.close()


def test_there_is_one_newest_revision() -> None:
    assert len(ScriptDirectory(next(iter(migrations.__path__))).get_heads()) == 1


def test_each_memory_database_is_a_new_one() -> None:
    one, other = open_state("sqlite://"), open_state("sqlite://")
    one.rule_numbers.lookup(1)
    assert one.policies.current() == other.policies.current()
    one.close()
    other.close()
