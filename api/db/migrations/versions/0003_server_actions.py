"""What the servers' actions keep: disks by name, rescue, shelving, resizing; migrations

Revision ID: 0003
Revises: 0002_groups
"""

import sqlalchemy as sa
from alembic import op

from api.db import base

revision = '0003'
down_revision = '0002_groups'
branch_labels = None
depends_on = None

JSON_COLUMNS = ('rescue', 'shelved', 'resize')
TEXT_COLUMNS = ('secret', 'guest_password')


def upgrade() -> None:
    with op.batch_alter_table('servers', schema=None) as batch_op:
        batch_op.add_column(sa.Column('root_disk', sa.String(), server_default='disk', nullable=False))
        for name in JSON_COLUMNS:
            batch_op.add_column(sa.Column(name, sa.JSON(), nullable=True))
        for name in TEXT_COLUMNS:
            batch_op.add_column(sa.Column(name, sa.String(), nullable=True))
    op.create_table(
        'migrations',
        sa.Column('number', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('id', sa.String(), nullable=False),
        sa.Column('server_id', sa.String(), nullable=False),
        sa.Column('project_id', sa.String(), nullable=True),
        sa.Column('user_id', sa.String(), nullable=True),
        sa.Column('type', sa.String(), nullable=False),
        sa.Column('status', sa.String(), nullable=False),
        sa.Column('source_host', sa.String(), nullable=True),
        sa.Column('target_host', sa.String(), nullable=True),
        sa.Column('old_flavor', sa.Integer(), nullable=True),
        sa.Column('new_flavor', sa.Integer(), nullable=True),
        sa.Column('created_at', base.UtcDateTime(), nullable=False),
        sa.Column('updated_at', base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('number', name=op.f('pk_migrations')),
        sa.UniqueConstraint('id', name=op.f('uq_migrations_id')),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table('migrations', schema=None) as batch_op:
        batch_op.create_index('ix_migrations_server_id', ['server_id'], unique=False)


def downgrade() -> None:
    op.drop_table('migrations')
    with op.batch_alter_table('servers', schema=None) as batch_op:
        for name in (*TEXT_COLUMNS, *JSON_COLUMNS, 'root_disk'):
            batch_op.drop_column(name)
