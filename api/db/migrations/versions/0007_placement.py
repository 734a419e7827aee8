"""placement: trees, traits, aggregates, custom names, consumer types

Revision ID: 0007_placement
Revises: 0006_metadefs
"""

import sqlalchemy as sa
from alembic import op

from api.db import base

revision = "0007_placement"
down_revision = "0006_metadefs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("resource_providers", sa.Column("parent_id", sa.String(), nullable=True))
    op.create_index(op.f("ix_resource_providers_parent_id"), "resource_providers", ["parent_id"])
    op.add_column("consumers", sa.Column("type", sa.String(), nullable=True))
    for table, column in (("provider_traits", "trait"), ("provider_aggregates", "aggregate_id")):
        op.create_table(
            table,
            sa.Column("provider_id", sa.String(), nullable=False),
            sa.Column(column, sa.String(), nullable=False),
            sa.ForeignKeyConstraint(["provider_id"], ["resource_providers.id"],
                                    name=op.f(f"fk_{table}_provider_id"), ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("provider_id", column, name=op.f(f"pk_{table}")),
        )
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    for table in ("custom_traits", "custom_resource_classes"):
        op.create_table(
            table,
            sa.Column("name", sa.String(), nullable=False),
            sa.Column("updated_at", base.UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{table}")),
        )
