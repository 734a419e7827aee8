"""network: subnet pools, automatic topologies; ports know their server, their link and DHCP options

Revision ID: 0009_network
Revises: 0008_purges
"""

import sqlalchemy as sa
from alembic import op

from api.db import base

revision = '0009_network'
down_revision = '0008_purges'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('subnetpools',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('ip_version', sa.Integer(), nullable=False),
    sa.Column('prefixes', sa.JSON(), nullable=False),
    sa.Column('min_prefixlen', sa.Integer(), nullable=False),
    sa.Column('max_prefixlen', sa.Integer(), nullable=False),
    sa.Column('default_prefixlen', sa.Integer(), nullable=False),
    sa.Column('default_quota', sa.Integer(), nullable=True),
    sa.Column('shared', sa.Boolean(), nullable=False),
    sa.Column('is_default', sa.Boolean(), nullable=False),
    sa.Column('id', sa.String(), nullable=False),
    sa.Column('project_id', sa.String(), nullable=False),
    sa.Column('description', sa.String(), nullable=False),
    sa.Column('revision_number', sa.Integer(), nullable=False),
    sa.Column('created_at', base.UtcDateTime(), nullable=False),
    sa.Column('updated_at', base.UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_subnetpools'))
    )
    op.create_index(op.f('ix_subnetpools_project_id'), 'subnetpools', ['project_id'], unique=False)

    op.create_table('auto_topologies',
    sa.Column('project_id', sa.String(), nullable=False),
    sa.Column('network_id', sa.String(), nullable=False),
    sa.Column('router_id', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['network_id'], ['networks.id'], name=op.f('fk_auto_topologies_network_id'),
                            ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['router_id'], ['routers.id'], name=op.f('fk_auto_topologies_router_id'),
                            ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('project_id', name=op.f('pk_auto_topologies'))
    )

    op.add_column('subnets', sa.Column('subnetpool_id', sa.String(), nullable=True))
    op.create_index(op.f('ix_subnets_subnetpool_id'), 'subnets', ['subnetpool_id'], unique=False)

    op.add_column('ports', sa.Column('server_id', sa.String(), nullable=True))
    op.add_column('ports', sa.Column('link_up', sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column('ports', sa.Column('extra_dhcp_opts', sa.JSON(), nullable=False, server_default='[]'))
    op.create_index(op.f('ix_ports_server_id'), 'ports', ['server_id'], unique=False)
    op.execute("UPDATE ports SET server_id = device_id WHERE device_owner LIKE 'compute:%' AND device_id != ''")
    op.execute("UPDATE ports SET link_up = (status = 'ACTIVE') WHERE server_id IS NOT NULL")


def downgrade() -> None:
    op.drop_index(op.f('ix_ports_server_id'), table_name='ports')
    op.drop_column('ports', 'extra_dhcp_opts')
    op.drop_column('ports', 'link_up')
    op.drop_column('ports', 'server_id')
    op.drop_index(op.f('ix_subnets_subnetpool_id'), table_name='subnets')
    op.drop_column('subnets', 'subnetpool_id')
    op.drop_table('auto_topologies')
    op.drop_index(op.f('ix_subnetpools_project_id'), table_name='subnetpools')
    op.drop_table('subnetpools')
