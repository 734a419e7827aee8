"""Identity's tables. A domain is a project with `is_domain`, as in OpenStack; ids are 32 hexadecimal digits."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base, Json, new_hex_id, utcnow

USER, GROUP = "user", "group"
PROJECT, DOMAIN, SYSTEM = "project", "domain", "system"
SYSTEM_TARGET = "all"
INTERFACES = ("public", "internal", "admin")

_CASCADE = "CASCADE"


class TokenRelevant:
    """Marks tables of which a validated token holds a copy: writing one ends the copies (api/identity/versions.py)."""


class Project(TokenRelevant, Base):
    """A project, or a domain (`is_domain`, `domain_id` null). Tokens older than `tokens_valid_after` are dead."""

    __tablename__ = "identity_projects"
    __table_args__ = (
        UniqueConstraint("domain_id", "name"),
        Index("ix_identity_projects_domain_name", "name", unique=True,
              sqlite_where=text("is_domain"), postgresql_where=text("is_domain")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    name: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[str | None] = mapped_column(ForeignKey("identity_projects.id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("identity_projects.id"), index=True)
    is_domain: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    description: Mapped[str] = mapped_column(default="")
    options: Mapped[Json] = mapped_column(default=dict)
    extra: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    tokens_valid_after: Mapped[datetime.datetime | None]


class ProjectTag(Base):
    """A tag of a project."""

    __tablename__ = "identity_project_tags"

    project_id: Mapped[str] = mapped_column(ForeignKey("identity_projects.id", ondelete=_CASCADE), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class User(TokenRelevant, Base):
    """A user. Tokens older than `tokens_valid_after` are dead; `password_at` is when the password was set."""

    __tablename__ = "identity_users"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    name: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[str] = mapped_column(ForeignKey("identity_projects.id"), index=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    default_project_id: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None]
    options: Mapped[Json] = mapped_column(default=dict)
    extra: Mapped[Json] = mapped_column(default=dict)
    password_hash: Mapped[str | None]
    password_at: Mapped[datetime.datetime | None]
    must_change_password: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    tokens_valid_after: Mapped[datetime.datetime | None]


class FormerPassword(Base):
    """The hash of a password that a user had, so that it is not chosen again too soon."""

    __tablename__ = "identity_former_passwords"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("identity_users.id", ondelete=_CASCADE), index=True)
    password_hash: Mapped[str]
    ended_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class LoginFailure(Base):
    """How often in a row a user's password was wrong, and when last."""

    __tablename__ = "identity_login_failures"

    user_id: Mapped[str] = mapped_column(ForeignKey("identity_users.id", ondelete=_CASCADE), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class Group(Base):
    """A group of users."""

    __tablename__ = "identity_groups"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    name: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[str] = mapped_column(ForeignKey("identity_projects.id"), index=True)
    description: Mapped[str] = mapped_column(default="")
    extra: Mapped[Json] = mapped_column(default=dict)


class Membership(TokenRelevant, Base):
    """A user in a group."""

    __tablename__ = "identity_memberships"

    group_id: Mapped[str] = mapped_column(ForeignKey("identity_groups.id", ondelete=_CASCADE), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        ForeignKey("identity_users.id", ondelete=_CASCADE), primary_key=True, index=True
    )


class Role(TokenRelevant, Base):
    """A role; with `domain_id` a domain role, which only implies others and never stands in a token."""

    __tablename__ = "identity_roles"
    __table_args__ = (
        UniqueConstraint("domain_id", "name"),
        Index("ix_identity_roles_global_name", "name", unique=True,
              sqlite_where=text("domain_id IS NULL"), postgresql_where=text("domain_id IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    name: Mapped[str] = mapped_column(String(255))
    domain_id: Mapped[str | None] = mapped_column(ForeignKey("identity_projects.id"))
    description: Mapped[str | None]
    options: Mapped[Json] = mapped_column(default=dict)
    extra: Mapped[Json] = mapped_column(default=dict)


class ImpliedRole(TokenRelevant, Base):
    """Who has the prior role has the implied one too."""

    __tablename__ = "identity_implied_roles"

    prior_role_id: Mapped[str] = mapped_column(ForeignKey("identity_roles.id", ondelete=_CASCADE), primary_key=True)
    implied_role_id: Mapped[str] = mapped_column(ForeignKey("identity_roles.id", ondelete=_CASCADE), primary_key=True)


class Assignment(TokenRelevant, Base):
    """A role of a user or group on a project, a domain or the system; `inherited`: on the projects below instead."""

    __tablename__ = "identity_assignments"
    __table_args__ = (Index("ix_identity_assignments_target", "target_id", "target_type"),)

    actor_type: Mapped[str] = mapped_column(String(16), primary_key=True)
    actor_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    target_type: Mapped[str] = mapped_column(String(16), primary_key=True)
    target_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    role_id: Mapped[str] = mapped_column(ForeignKey("identity_roles.id", ondelete=_CASCADE), primary_key=True)
    inherited: Mapped[bool] = mapped_column(primary_key=True, default=False)


class Region(TokenRelevant, Base):
    """A region of the catalog. Its id is chosen by the operator."""

    __tablename__ = "identity_regions"

    id: Mapped[str] = mapped_column(String(255), primary_key=True, default=new_hex_id)
    parent_region_id: Mapped[str | None] = mapped_column(ForeignKey("identity_regions.id"))
    description: Mapped[str] = mapped_column(default="")
    extra: Mapped[Json] = mapped_column(default=dict)


class CatalogService(TokenRelevant, Base):
    """A service of the catalog, such as type `compute`."""

    __tablename__ = "identity_services"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    type: Mapped[str] = mapped_column(String(255), index=True)
    name: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[Json] = mapped_column(default=dict)


class Endpoint(TokenRelevant, Base):
    """Where a service answers, for one interface in one region."""

    __tablename__ = "identity_endpoints"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    service_id: Mapped[str] = mapped_column(ForeignKey("identity_services.id", ondelete=_CASCADE), index=True)
    interface: Mapped[str] = mapped_column(String(8))
    region_id: Mapped[str | None] = mapped_column(ForeignKey("identity_regions.id"))
    url: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[Json] = mapped_column(default=dict)


class ApplicationCredential(TokenRelevant, Base):
    """A secret of its own for a program, bound to one project and some of its owner's roles there."""

    __tablename__ = "identity_application_credentials"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    name: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[str] = mapped_column(ForeignKey("identity_users.id", ondelete=_CASCADE))
    project_id: Mapped[str] = mapped_column(ForeignKey("identity_projects.id", ondelete=_CASCADE), index=True)
    description: Mapped[str | None]
    secret_hash: Mapped[str]
    role_ids: Mapped[list[Any]]
    unrestricted: Mapped[bool] = mapped_column(default=False)
    access_rule_ids: Mapped[list[Any] | None]
    expires_at: Mapped[datetime.datetime | None]
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class AccessRule(TokenRelevant, Base):
    """A call that application credentials may be confined to: a service's type, a method, a path with wildcards."""

    __tablename__ = "identity_access_rules"
    __table_args__ = (UniqueConstraint("user_id", "service", "method", "path"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("identity_users.id", ondelete=_CASCADE))
    service: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(String(128))


class Trust(TokenRelevant, Base):
    """A user (the trustor) lets another (the trustee) act with some of its roles on a project."""

    __tablename__ = "identity_trusts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    trustor_user_id: Mapped[str] = mapped_column(ForeignKey("identity_users.id", ondelete=_CASCADE), index=True)
    trustee_user_id: Mapped[str] = mapped_column(ForeignKey("identity_users.id", ondelete=_CASCADE), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("identity_projects.id", ondelete=_CASCADE), index=True)
    impersonation: Mapped[bool]
    role_ids: Mapped[list[Any]]
    expires_at: Mapped[datetime.datetime | None]
    remaining_uses: Mapped[int | None]
    extra: Mapped[Json] = mapped_column(default=dict)


class Credential(Base):
    """A secret that identity keeps for a user, such as an EC2 key pair; `sealed` is its content, encrypted."""

    __tablename__ = "identity_credentials"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("identity_users.id", ondelete=_CASCADE), index=True)
    project_id: Mapped[str | None] = mapped_column(String(64), index=True)
    type: Mapped[str] = mapped_column(String(255))
    sealed: Mapped[str]
    extra: Mapped[Json] = mapped_column(default=dict)


class PolicyDocument(Base):
    """A policy that a service may fetch: /v3/policies. Kept as it is given."""

    __tablename__ = "identity_policies"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    type: Mapped[str] = mapped_column(String(255))
    blob: Mapped[str]
    extra: Mapped[Json] = mapped_column(default=dict)


class EndpointGroup(TokenRelevant, Base):
    """The endpoints that fit `filters`; a project that any is given to sees only what it is given in its catalog."""

    __tablename__ = "identity_endpoint_groups"

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex_id)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None]
    filters: Mapped[Json]


class ProjectEndpointGroup(TokenRelevant, Base):
    """A group of endpoints that a project sees."""

    __tablename__ = "identity_project_endpoint_groups"

    project_id: Mapped[str] = mapped_column(ForeignKey("identity_projects.id", ondelete=_CASCADE), primary_key=True)
    endpoint_group_id: Mapped[str] = mapped_column(
        ForeignKey("identity_endpoint_groups.id", ondelete=_CASCADE), primary_key=True
    )


class ProjectEndpoint(TokenRelevant, Base):
    """An endpoint that a project sees."""

    __tablename__ = "identity_project_endpoints"

    project_id: Mapped[str] = mapped_column(ForeignKey("identity_projects.id", ondelete=_CASCADE), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("identity_endpoints.id", ondelete=_CASCADE), primary_key=True)


class RevokedToken(TokenRelevant, Base):
    """A token that was revoked by itself, until it would have expired anyway."""

    __tablename__ = "identity_revoked_tokens"

    audit_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_at: Mapped[datetime.datetime] = mapped_column(index=True)


class Version(Base):
    """One row: a number that rises with each change of what validated tokens depend on."""

    __tablename__ = "identity_version"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(default=0)
