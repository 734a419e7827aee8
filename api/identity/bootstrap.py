"""What a cloud cannot begin without: the default domain, the roles, the administrator and the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import Base, utcnow
from api.db.session import Database
from api.identity import fernet, passwords
from api.identity.models import (
    DOMAIN,
    INTERFACES,
    PROJECT,
    SYSTEM,
    SYSTEM_TARGET,
    USER,
    Assignment,
    CatalogService,
    Endpoint,
    ImpliedRole,
    Project,
    Region,
    Role,
    User,
    Version,
)
from api.identity.versions import ROW

DEFAULT_DOMAIN = "default"
ADMIN = "admin"
ROLES = (ADMIN, "manager", "member", "reader", "service")
IMPLIED = ((ADMIN, "manager"), ("manager", "member"), ("member", "reader"))
SERVICES = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("network", "neutron", "/network"),
    ("image", "glance", "/image"),
    ("placement", "placement", "/placement"),
    ("operations", "stratiform", "/operations"),
)
"""(type, name, path below the base URL): names as OpenStack's documentation has them, clients print them."""

_IMMUTABLE = {"immutable": True}
Row = TypeVar("Row", bound=Base)


def run(database: Database) -> bool:
    """Makes what is missing and updates what changed in the settings; whether anything changed. Repeating is safe."""
    changed = fernet.set_up()
    password = settings().secret("admin_password")
    with database.read() as session:
        known = session.scalar(select(User.password_hash).where(User.name == ADMIN, User.domain_id == DEFAULT_DOMAIN))
    stored = known if known and passwords.verify(known, password) else passwords.hash_password(password)
    with database.write() as session:
        made = _Maker(session)
        made.ensure(Version, {"id": ROW})
        made.ensure(Project, {"id": DEFAULT_DOMAIN}, is_domain=True,
                    on_create={"name": "Default", "description": "The default domain"})  # fmt: skip
        roles = {name: made.ensure(Role, {"name": name, "domain_id": None}, on_create={"options": _IMMUTABLE})
                 for name in ROLES}  # fmt: skip
        for prior, implied in IMPLIED:
            made.ensure(ImpliedRole, {"prior_role_id": roles[prior].id, "implied_role_id": roles[implied].id})
        _administrator(made, roles[ADMIN], stored)
        _catalog(made)
        return changed or made.changed


def _administrator(made: _Maker, role: Role, password_hash: str) -> None:
    project = made.ensure(
        Project, {"name": ADMIN, "domain_id": DEFAULT_DOMAIN}, parent_id=DEFAULT_DOMAIN,
        on_create={"description": "The administrator's project"},
    )  # fmt: skip
    user = made.ensure(User, {"name": ADMIN, "domain_id": DEFAULT_DOMAIN}, on_create={"password_hash": password_hash})
    if user.password_hash != password_hash:
        user.password_hash, user.tokens_valid_after = password_hash, utcnow()
        made.changed = True
    for target_type, target_id in ((PROJECT, project.id), (SYSTEM, SYSTEM_TARGET), (DOMAIN, DEFAULT_DOMAIN)):
        made.ensure(Assignment, {
            "actor_type": USER, "actor_id": user.id, "target_type": target_type, "target_id": target_id,
            "role_id": role.id, "inherited": False,
        })  # fmt: skip


def _catalog(made: _Maker) -> None:
    region = made.ensure(Region, {"id": settings().region})
    for type_, name, path in SERVICES:
        service = made.ensure(CatalogService, {"type": type_, "name": name})
        for interface in INTERFACES:
            made.ensure(
                Endpoint, {"service_id": service.id, "interface": interface, "region_id": region.id},
                url=settings().url(interface) + path,
            )  # fmt: skip


class _Maker:
    """Finds, compares, makes or updates rows, and remembers whether it had to."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.changed = False

    def ensure(
        self, table: Callable[..., Row], key: dict[str, Any], *, on_create: dict[str, Any] | None = None, **wanted: Any
    ) -> Row:
        """The row with this key, made with `on_create` if it is missing, with `wanted` in any case."""
        found: Row | None = self.session.scalars(select(table).filter_by(**key)).first()  # type: ignore[call-overload]
        if found is None:
            found = table(**key, **wanted, **(on_create or {}))
            self.session.add(found)
            self.session.flush()
            self.changed = True
            return found
        for name, value in wanted.items():
            if getattr(found, name) != value:
                setattr(found, name, value)
                self.changed = True
        return found
