"""operations: what a job repeats, and where its events are

Revision ID: 0004_operations
Revises: 0003_identity
"""

import sqlalchemy as sa
from alembic import op

revision = '0004_operations'
down_revision = '0003_identity'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('retry_of', sa.String(), nullable=True))
        batch_op.add_column(sa.Column('events_on', sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_column('events_on')
        batch_op.drop_column('retry_of')
