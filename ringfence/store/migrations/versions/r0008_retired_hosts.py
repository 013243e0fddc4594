"""Which hosts were taken out of service, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hosts", sa.Column("retired", sa.DateTime(timezone=True), nullable=True))
    op.add_column("hosts", sa.Column("retired_reason", sa.Text(), nullable=False, server_default=""))
