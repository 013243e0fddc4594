"""Opens the state store: connects, brings the tables to the newest revision, joins the repositories."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

import ringfence.store.migrations
from ringfence.errors import StoreUnavailable
from ringfence.model.ruleset import LAST_POLICY_RULE
from ringfence.store.database.connection import Database, connect
from ringfence.store.database.deletions import DeletionTable
from ringfence.store.database.enforcements import EnforcementTable
from ringfence.store.database.findings import FindingTable
from ringfence.store.database.hosts import HostTable
from ringfence.store.database.policies import PolicyTable
from ringfence.store.database.quarantines import QuarantineTable
from ringfence.store.database.reports import ReportTable
from ringfence.store.database.rule_numbers import RuleNumberTable
from ringfence.store.database.tables import METADATA
from ringfence.store.database.tokens import TokenTable
from ringfence.store.database.users import UserTable
from ringfence.store.database.workloads import WorkloadTable
from ringfence.store.state import (
    Deletions,
    Enforcements,
    Findings,
    Hosts,
    PolicyHistory,
    Quarantines,
    Reports,
    RuleNumbers,
    Tokens,
    Users,
    Workloads,
)

MIGRATION_LOCK = 0x52494E47
"""PostgreSQL's advisory lock that lets one server at a time migrate ("RING" in ASCII)."""


_MIGRATING = threading.Lock()  # alembic keeps the environment it runs in, in a module


class DatabaseState:
    """`State`: all repositories over one database. Thread-safe; several processes may have it open."""

    def __init__(self, database: Database, *, last_rule: int = LAST_POLICY_RULE) -> None:
        self._database = database
        self.policies: PolicyHistory = PolicyTable(database)
        self.rule_numbers: RuleNumbers = RuleNumberTable(database, last=last_rule)
        self.quarantines: Quarantines = QuarantineTable(database)
        self.findings: Findings = FindingTable(database)
        self.workloads: Workloads = WorkloadTable(database)
        self.users: Users = UserTable(database)
        self.tokens: Tokens = TokenTable(database)
        self.reports: Reports = ReportTable(database)
        self.hosts: Hosts = HostTable(database)
        self.enforcements: Enforcements = EnforcementTable(database)
        self.deletions: Deletions = DeletionTable(database)

    def close(self) -> None:
        self._database.close()


def open_state(target: str | Path, *, last_rule: int = LAST_POLICY_RULE) -> DatabaseState:
    """Open, and create or upgrade as needed; `target` as in `connect`. Rules get numbers up to `last_rule`.

    Raises:
        ConfigError: an URL that cannot be used.
        StoreUnavailable: the database does not answer, or a later version of Ringfence made it.
    """
    database = connect(target)
    try:
        with _MIGRATING, database.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            migrate(connection)
    except BaseException:
        database.close()
        raise
    return DatabaseState(database, last_rule=last_rule)


def migrate(connection: sa.Connection) -> None:
    """Run the migrations that this database has not seen, inside the caller's transaction."""
    config = Config()
    config.set_main_option("script_location", next(iter(ringfence.store.migrations.__path__)).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script) as environment:
        environment.configure(
            connection=connection,
            target_metadata=METADATA,
            fn=lambda revision, _context: script._upgrade_revs("head", revision),
        )
        try:
            environment.run_migrations()
        except CommandError as error:
            raise StoreUnavailable(
                f"the state store was made by another version of Ringfence: {error}",
                hint="install that version or a later one",
            ) from error
