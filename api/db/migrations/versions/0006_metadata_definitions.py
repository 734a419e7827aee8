"""metadata definitions of images

Revision ID: 0006_metadefs
Revises: 0005_imports
"""

import sqlalchemy as sa
from alembic import op

from api.db import base

revision = '0006_metadefs'
down_revision = '0005_imports'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('image_metadef_namespaces',
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('namespace', sa.String(), nullable=False),
    sa.Column('display_name', sa.String(), nullable=True),
    sa.Column('description', sa.String(), nullable=True),
    sa.Column('visibility', sa.String(), nullable=False),
    sa.Column('protected', sa.Boolean(), nullable=False),
    sa.Column('owner', sa.String(), nullable=True),
    sa.Column('created_at', base.UtcDateTime(), nullable=False),
    sa.Column('updated_at', base.UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_image_metadef_namespaces')),
    sa.UniqueConstraint('namespace', name=op.f('uq_image_metadef_namespaces_namespace'))
    )
    op.create_table('image_metadef_entries',
    sa.Column('namespace_id', sa.String(), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(), nullable=False),
    sa.Column('updated_at', base.UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['namespace_id'], ['image_metadef_namespaces.id'], name=op.f('fk_image_metadef_entries_namespace_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('namespace_id', 'kind', 'name', name=op.f('pk_image_metadef_entries'))
    )


def downgrade() -> None:
    op.drop_table('image_metadef_entries')
    op.drop_table('image_metadef_namespaces')
