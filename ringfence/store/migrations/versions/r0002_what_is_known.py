"""Since when each host reports, and up to when records were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("hosts", sa.Column("first_heard", sa.DateTime(timezone=True), nullable=True))
    # Nothing older is known of a host than what it last said.
    op.execute("UPDATE hosts SET first_heard = reported")
    op.create_table(
        "deletions",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("deleted_before", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_deletions")),
    )


def downgrade() -> None:
    op.drop_table("deletions")
    op.drop_column("hosts", "first_heard")
