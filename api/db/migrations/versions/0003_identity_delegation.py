"""trusts, credentials, access rules, endpoint groups, policies and password ages

Revision ID: 0003_identity
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

from api.db import base

revision = '0003_identity'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('identity_endpoint_groups',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('description', sa.String(), nullable=True),
    sa.Column('filters', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_endpoint_groups'))
    )
    op.create_table('identity_policies',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('type', sa.String(length=255), nullable=False),
    sa.Column('blob', sa.String(), nullable=False),
    sa.Column('extra', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_policies'))
    )
    op.create_table('identity_project_endpoint_groups',
    sa.Column('project_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_group_id', sa.String(length=64), nullable=False),
    sa.ForeignKeyConstraint(['endpoint_group_id'], ['identity_endpoint_groups.id'], name=op.f('fk_identity_project_endpoint_groups_endpoint_group_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['project_id'], ['identity_projects.id'], name=op.f('fk_identity_project_endpoint_groups_project_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('project_id', 'endpoint_group_id', name=op.f('pk_identity_project_endpoint_groups'))
    )
    op.create_table('identity_access_rules',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('user_id', sa.String(length=64), nullable=False),
    sa.Column('service', sa.String(length=64), nullable=False),
    sa.Column('method', sa.String(length=16), nullable=False),
    sa.Column('path', sa.String(length=128), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['identity_users.id'], name=op.f('fk_identity_access_rules_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_access_rules')),
    sa.UniqueConstraint('user_id', 'service', 'method', 'path', name=op.f('uq_identity_access_rules_user_id_service_method_path'))
    )
    op.create_table('identity_credentials',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('user_id', sa.String(length=64), nullable=False),
    sa.Column('project_id', sa.String(length=64), nullable=True),
    sa.Column('type', sa.String(length=255), nullable=False),
    sa.Column('sealed', sa.String(), nullable=False),
    sa.Column('extra', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['identity_users.id'], name=op.f('fk_identity_credentials_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_credentials'))
    )
    with op.batch_alter_table('identity_credentials', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_identity_credentials_project_id'), ['project_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_identity_credentials_user_id'), ['user_id'], unique=False)

    op.create_table('identity_former_passwords',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('user_id', sa.String(length=64), nullable=False),
    sa.Column('password_hash', sa.String(), nullable=False),
    sa.Column('ended_at', base.UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['identity_users.id'], name=op.f('fk_identity_former_passwords_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_former_passwords'))
    )
    with op.batch_alter_table('identity_former_passwords', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_identity_former_passwords_user_id'), ['user_id'], unique=False)

    op.create_table('identity_project_endpoints',
    sa.Column('project_id', sa.String(length=64), nullable=False),
    sa.Column('endpoint_id', sa.String(length=64), nullable=False),
    sa.ForeignKeyConstraint(['endpoint_id'], ['identity_endpoints.id'], name=op.f('fk_identity_project_endpoints_endpoint_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['project_id'], ['identity_projects.id'], name=op.f('fk_identity_project_endpoints_project_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('project_id', 'endpoint_id', name=op.f('pk_identity_project_endpoints'))
    )
    op.create_table('identity_trusts',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('trustor_user_id', sa.String(length=64), nullable=False),
    sa.Column('trustee_user_id', sa.String(length=64), nullable=False),
    sa.Column('project_id', sa.String(length=64), nullable=False),
    sa.Column('impersonation', sa.Boolean(), nullable=False),
    sa.Column('role_ids', sa.JSON(), nullable=False),
    sa.Column('expires_at', base.UtcDateTime(), nullable=True),
    sa.Column('remaining_uses', sa.Integer(), nullable=True),
    sa.Column('extra', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['project_id'], ['identity_projects.id'], name=op.f('fk_identity_trusts_project_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['trustee_user_id'], ['identity_users.id'], name=op.f('fk_identity_trusts_trustee_user_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['trustor_user_id'], ['identity_users.id'], name=op.f('fk_identity_trusts_trustor_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_trusts'))
    )
    with op.batch_alter_table('identity_trusts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_identity_trusts_project_id'), ['project_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_identity_trusts_trustee_user_id'), ['trustee_user_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_identity_trusts_trustor_user_id'), ['trustor_user_id'], unique=False)

    with op.batch_alter_table('identity_application_credentials', schema=None) as batch_op:
        batch_op.add_column(sa.Column('access_rule_ids', sa.JSON(), nullable=True))

    with op.batch_alter_table('identity_users', schema=None) as batch_op:
        batch_op.add_column(sa.Column('password_at', base.UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column('must_change_password', sa.Boolean(), server_default=sa.false(), nullable=False))



def downgrade() -> None:
    with op.batch_alter_table('identity_users', schema=None) as batch_op:
        batch_op.drop_column('must_change_password')
        batch_op.drop_column('password_at')

    with op.batch_alter_table('identity_application_credentials', schema=None) as batch_op:
        batch_op.drop_column('access_rule_ids')

    with op.batch_alter_table('identity_trusts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_identity_trusts_trustor_user_id'))
        batch_op.drop_index(batch_op.f('ix_identity_trusts_trustee_user_id'))
        batch_op.drop_index(batch_op.f('ix_identity_trusts_project_id'))

    op.drop_table('identity_trusts')
    op.drop_table('identity_project_endpoints')
    with op.batch_alter_table('identity_former_passwords', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_identity_former_passwords_user_id'))

    op.drop_table('identity_former_passwords')
    with op.batch_alter_table('identity_credentials', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_identity_credentials_user_id'))
        batch_op.drop_index(batch_op.f('ix_identity_credentials_project_id'))

    op.drop_table('identity_credentials')
    op.drop_table('identity_access_rules')
    op.drop_table('identity_project_endpoint_groups')
    op.drop_table('identity_policies')
    op.drop_table('identity_endpoint_groups')
