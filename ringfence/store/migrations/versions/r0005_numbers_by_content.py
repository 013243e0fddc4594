"""Rule numbers follow the content of a rule and not its place, and rest when it is out of force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The same rule at several places had several numbers: the latest one is the one that may be in force.
    op.execute(
        """
        DELETE FROM rule_numbers WHERE number NOT IN (
            SELECT MAX(number) FROM rule_numbers GROUP BY tier, policy, direction, digest)
        """
    )
    with op.batch_alter_table("rule_numbers") as table:
        table.add_column(sa.Column("retired", sa.DateTime(timezone=True), nullable=True))
        table.drop_constraint("uq_rule_numbers_rule", type_="unique")
        table.create_unique_constraint("uq_rule_numbers_rule", ["tier", "policy", "direction", "digest"])
