"""The tables. A change here needs a migration; a test compares both."""

from __future__ import annotations

import sqlalchemy as sa

from ringfence.store.database.columns import UTCTime

METADATA = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=True)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _time(name: str, *, null: bool = False, index: bool = False) -> sa.Column[object]:
    return sa.Column(name, UTCTime, nullable=null, index=index)


def _json(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=null)


POLICY_REVISIONS = sa.Table(
    "policy_revisions",
    METADATA,
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("text"),
    _text("author"),
    _text("reason"),
    _time("applied"),
)

RULE_NUMBERS = sa.Table(
    "rule_numbers",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("tier"),
    _text("policy"),
    _text("direction"),
    _number("position"),
    _text("digest"),
    # Since when no policy in force has the rule.
    _time("retired", null=True),
    sa.UniqueConstraint("tier", "policy", "direction", "digest", name="uq_rule_numbers_rule"),
)

QUARANTINES = sa.Table(
    "quarantines",
    METADATA,
    _key("id"),
    _text("workload"),
    _text("workload_name"),
    _text("host"),
    sa.Column("state", sa.Text, nullable=False, index=True),
    _text("reason"),
    _text("author"),
    _time("created", index=True),
    _time("expires"),
    _json("access"),
    _json("proof", null=True),
    _time("released", null=True),
    _text("released_by", null=True),
    _number("connections_cut", null=True),
    _text("finding", null=True),
    # One active order per workload: releasing one of two would open what the other still calls isolated.
    sa.Index(
        "uq_quarantines_active",
        "workload",
        unique=True,
        sqlite_where=sa.text("state != 'released'"),
        postgresql_where=sa.text("state != 'released'"),
    ),
)

FINDINGS = sa.Table(
    "findings",
    METADATA,
    _key("id"),
    _text("key"),
    # The key while the finding is unresolved, null afterwards: uniqueness decides races between recorders.
    sa.Column("live_key", sa.Text, nullable=True, unique=True),
    _text("kind"),
    _text("severity"),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    _text("sentence"),
    _text("workload", null=True),
    _text("workload_name", null=True),
    _text("peer", null=True),
    _text("peer_name", null=True),
    _text("rule", null=True),
    sa.Column("staged", sa.Boolean, nullable=False),
    _text("technique", null=True),
    _number("count"),
    _json("flows"),
    _time("first_seen"),
    _time("last_seen"),
    _text("state"),
    _time("suppressed_until", null=True),
    _text("response", null=True),
    sa.Index("ix_findings_order", "rank", "last_seen"),
)

WORKLOADS = sa.Table(
    "workloads",
    METADATA,
    _key("id"),
    sa.Column("started", UTCTime, primary_key=True),
    _text("name"),
    _text("kind"),
    _text("host"),
    _json("labels"),
    _text("image", null=True),
    _text("project", null=True),
    _number("pid", null=True),
    _number("netns", null=True),
    _text("netns_path", null=True),
    _text("cgroup", null=True),
    _json("attachments"),
    _text("containment"),
    _text("containment_reason"),
    _time("ended", null=True, index=True),
)

USERS = sa.Table(
    "users",
    METADATA,
    _key("name"),
    _text("role"),
    _text("password_hash"),
    _number("session_epoch"),
    sa.Column("disabled", sa.Boolean, nullable=False),
)

TOKENS = sa.Table(
    "tokens",
    METADATA,
    _key("digest"),
    _text("purpose"),
    _text("subject"),
    _time("expires", index=True),
)

REPORTS = sa.Table(
    "reports",
    METADATA,
    _key("id"),
    _text("kind"),
    _text("title"),
    _time("created", index=True),
    _text("author"),
    _json("parameters"),
    _text("digest"),
    _json("files"),
    _text("state"),
    _text("error"),
    sa.Column("progress", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("step", sa.Text, nullable=False, server_default=""),
    # Until when one worker has it.
    _time("claimed", null=True),
    # How often it was claimed and not released.
    sa.Column("claims", sa.BigInteger, nullable=False, default=0),
)

HOSTS = sa.Table(
    "hosts",
    METADATA,
    _key("host"),
    _time("reported"),
    _json("facts"),
    _time("first_heard", null=True),
    _time("retired", null=True),
    sa.Column("retired_reason", sa.Text, nullable=False, server_default=""),
)

DELETIONS = sa.Table("deletions", METADATA, _key("what"), _time("deleted_before"))

ENFORCEMENTS = sa.Table(
    "enforcements",
    METADATA,
    _key("workload"),
    _text("host"),
    _text("state"),
    _text("digest"),
    _time("since"),
    _time("verified", null=True),
    _text("reason"),
    _json("checks"),
    _number("drifts"),
    _time("last_drift", null=True),
)
