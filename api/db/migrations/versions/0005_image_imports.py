"""image stores, staged bytes and imports

Revision ID: 0005_imports
Revises: 0004_operations
"""

import sqlalchemy as sa
from alembic import op

from api.db import base

revision = '0005_imports'
down_revision = '0004_operations'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('image_tasks',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('owner', sa.String(), nullable=True),
    sa.Column('user_id', sa.String(), nullable=True),
    sa.Column('image_id', sa.String(), nullable=True),
    sa.Column('request_id', sa.String(), nullable=True),
    sa.Column('input', sa.JSON(), nullable=False),
    sa.Column('result', sa.JSON(), nullable=True),
    sa.Column('message', sa.String(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(), nullable=False),
    sa.Column('updated_at', base.UtcDateTime(), nullable=False),
    sa.Column('expires_at', base.UtcDateTime(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_image_tasks'))
    )
    with op.batch_alter_table('image_tasks', schema=None) as batch_op:
        batch_op.create_index('ix_image_tasks_image_id', ['image_id'], unique=False)
        batch_op.create_index('ix_image_tasks_status', ['status'], unique=False)

    with op.batch_alter_table('images', schema=None) as batch_op:
        batch_op.add_column(sa.Column('staged_size', sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column('stores', sa.JSON(), server_default='[]', nullable=False))
        batch_op.add_column(sa.Column('importing_stores', sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column('failed_stores', sa.JSON(), nullable=True))

    # Until now there was one store, the folder below state_dir.
    op.execute("""UPDATE images SET stores = '["file"]' WHERE status IN ('active', 'deactivated')""")


def downgrade() -> None:
    with op.batch_alter_table('images', schema=None) as batch_op:
        batch_op.drop_column('failed_stores')
        batch_op.drop_column('importing_stores')
        batch_op.drop_column('stores')
        batch_op.drop_column('staged_size')

    with op.batch_alter_table('image_tasks', schema=None) as batch_op:
        batch_op.drop_index('ix_image_tasks_status')
        batch_op.drop_index('ix_image_tasks_image_id')

    op.drop_table('image_tasks')
