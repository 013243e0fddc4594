"""How far a report is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reports", sa.Column("progress", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("reports", sa.Column("step", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE reports SET progress = 100 WHERE state = 'done'")


def downgrade() -> None:
    op.drop_column("reports", "step")
    op.drop_column("reports", "progress")
