"""Roles given to users and groups on projects, domains and the system."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.faults import Forbidden
from api.identity import projects, rows
from api.identity.models import (
    DOMAIN,
    GROUP,
    PROJECT,
    SYSTEM,
    SYSTEM_TARGET,
    USER,
    Assignment,
    Group,
    Project,
    Role,
    User,
)


@dataclass(frozen=True)
class Place:
    """Who has something where; `inherited`: on the projects below it."""

    actor_type: str
    actor_id: str
    target_type: str
    target_id: str = SYSTEM_TARGET
    inherited: bool = False

    def key(self, role_id: str) -> dict[str, object]:
        """The assignment's primary key."""
        return {
            "actor_type": self.actor_type, "actor_id": self.actor_id, "target_type": self.target_type,
            "target_id": self.target_id, "role_id": role_id, "inherited": self.inherited,
        }  # fmt: skip


def targets(session: Session, place: Place, role_id: str | None = None) -> dict[str, str | None]:
    """What policy is asked about: the domains of actor and target, the role. 404 for what is not there."""
    actor: User | Group = (
        rows.get(session, User, place.actor_id, "user")
        if place.actor_type == USER
        else rows.get(session, Group, place.actor_id, "group")
    )
    found: dict[str, str | None] = {f"target.{place.actor_type}.domain_id": actor.domain_id}
    if place.target_type == PROJECT:
        project = rows.get(session, Project, place.target_id, "project")
        found["target.project.domain_id"] = project.domain_id or project.id
    elif place.target_type == DOMAIN:
        found["target.domain.id"] = projects.get_domain(session, place.target_id).id
    if role_id is not None:
        role = rows.get(session, Role, role_id, "role")
        found |= {"target.role.domain_id": role.domain_id, "target.role.name": role.name}
    return found


def listed(session: Session, place: Place) -> list[Role]:
    """The roles given there directly, by name."""
    key = place.key("")
    del key["role_id"]
    query = select(Role).join(Assignment, Assignment.role_id == Role.id).order_by(Role.name)
    return list(session.scalars(query.where(*(getattr(Assignment, name) == value for name, value in key.items()))))


def grant(session: Session, place: Place, role_id: str) -> None:
    """Gives the role, if it is not given."""
    role = rows.get(session, Role, role_id, "role")
    if role.domain_id is not None and place.target_type == SYSTEM:
        raise Forbidden("A domain's role cannot be given on the system.")
    targets(session, place)
    if session.get(Assignment, place.key(role_id)) is None:
        session.add(Assignment(**place.key(role_id)))


def check(session: Session, place: Place, role_id: str) -> Assignment:
    """The assignment, or 404."""
    found = session.get(Assignment, place.key(role_id))
    return found if found is not None else rows.missing(
        f"role assignment with role: {role_id}, {place.actor_type}: {place.actor_id}, "
        f"{place.target_type}: {place.target_id}"
    )  # fmt: skip


def revoke(session: Session, place: Place, role_id: str) -> None:
    """Takes the role away; 404 when it is not given. Tokens without a role left stop to hold at once."""
    session.delete(check(session, place, role_id))


__all__ = ["DOMAIN", "GROUP", "PROJECT", "SYSTEM", "USER", "Place", "check", "grant", "listed", "revoke", "targets"]
