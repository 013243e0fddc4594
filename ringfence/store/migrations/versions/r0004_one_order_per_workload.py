"""One active quarantine per workload."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ACTIVE = "state != 'released'"


def upgrade() -> None:
    # Of several orders for one workload the kernel holds the latest one only: it is the one that stands.
    op.execute(
        """
        UPDATE quarantines SET state = 'released', released = COALESCE(released, created),
               released_by = COALESCE(released_by, 'replaced by a later order')
        WHERE state != 'released' AND EXISTS (
            SELECT 1 FROM quarantines AS later
            WHERE later.workload = quarantines.workload AND later.state != 'released'
              AND (later.created > quarantines.created
                   OR (later.created = quarantines.created AND later.id > quarantines.id)))
        """
    )
    op.create_index(
        "uq_quarantines_active",
        "quarantines",
        ["workload"],
        unique=True,
        sqlite_where=sa.text(ACTIVE),
        postgresql_where=sa.text(ACTIVE),
    )
