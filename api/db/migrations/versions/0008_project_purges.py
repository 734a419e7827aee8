"""purges of projects

Revision ID: 0008_purges
Revises: 0007_placement
"""

import sqlalchemy as sa
from alembic import op

from api.db import base

revision = '0008_purges'
down_revision = '0007_placement'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('project_purges',
    sa.Column('project_id', sa.String(), nullable=False),
    sa.Column('state', sa.String(), nullable=False),
    sa.Column('request_id', sa.String(), nullable=False),
    sa.Column('user_id', sa.String(), nullable=False),
    sa.Column('remaining', sa.Integer(), nullable=False),
    sa.Column('removed', sa.Integer(), nullable=False),
    sa.Column('leftovers', sa.JSON(), nullable=False),
    sa.Column('started_at', base.UtcDateTime(), nullable=False),
    sa.Column('progress_at', base.UtcDateTime(), nullable=False),
    sa.Column('finished_at', base.UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('project_id', name=op.f('pk_project_purges'))
    )
    with op.batch_alter_table('project_purges', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_project_purges_state'), ['state'], unique=False)



def downgrade() -> None:
    with op.batch_alter_table('project_purges', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_project_purges_state'))

    op.drop_table('project_purges')
