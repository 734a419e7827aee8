"""Which roles a user has somewhere: directly, by groups, inherited from above, and implied by other roles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from api.identity.models import (
    DOMAIN,
    GROUP,
    PROJECT,
    SYSTEM,
    SYSTEM_TARGET,
    USER,
    Assignment,
    ImpliedRole,
    Membership,
    Project,
    Role,
)


def ancestors(session: Session, project_id: str) -> list[str]:
    """The projects above this one, nearest first, the domain last."""
    found: list[str] = []
    parent = session.scalar(select(Project.parent_id).where(Project.id == project_id))
    while parent is not None:
        found.append(parent)
        parent = session.scalar(select(Project.parent_id).where(Project.id == parent))
    return found


def group_ids(session: Session, user_id: str) -> list[str]:
    """The groups a user is in."""
    return list(session.scalars(select(Membership.group_id).where(Membership.user_id == user_id)))


def implications(session: Session) -> dict[str, set[str]]:
    """Prior role -> the roles that it implies directly."""
    found: dict[str, set[str]] = defaultdict(set)
    for prior, implied in session.execute(select(ImpliedRole.prior_role_id, ImpliedRole.implied_role_id)):
        found[prior].add(implied)
    return found


def closure(role_ids: Iterable[str], implied: dict[str, set[str]]) -> set[str]:
    """These roles and all that they imply, however indirectly."""
    found: set[str] = set()
    waiting = list(role_ids)
    while waiting:
        role_id = waiting.pop()
        if role_id not in found:
            found.add(role_id)
            waiting.extend(implied.get(role_id, ()))
    return found


def is_actor(user_id: str, groups: list[str]) -> ColumnElement[bool]:
    """Assignments that a user has by itself or by a group."""
    own = and_(Assignment.actor_type == USER, Assignment.actor_id == user_id)
    return or_(own, and_(Assignment.actor_type == GROUP, Assignment.actor_id.in_(groups))) if groups else own


def _reaches(session: Session, target_type: str, target_id: str) -> ColumnElement[bool]:
    direct = and_(
        Assignment.target_type == target_type, Assignment.target_id == target_id, Assignment.inherited.is_(False)
    )
    if target_type != PROJECT:
        return direct
    above = and_(
        Assignment.target_type.in_((PROJECT, DOMAIN)),
        Assignment.target_id.in_(ancestors(session, target_id)),
        Assignment.inherited.is_(True),
    )
    return or_(direct, above)


def roles_on(session: Session, user_id: str, target_type: str, target_id: str | None) -> list[tuple[str, str]]:
    """(id, name) of the roles that a token of the user has there, by name; domain roles count for what they imply."""
    reaches = _reaches(session, target_type, target_id or SYSTEM_TARGET)
    query = select(Assignment.role_id).where(is_actor(user_id, group_ids(session, user_id)), reaches)
    held = set(session.scalars(query))
    return named(session, closure(held, implications(session))) if held else []


def named(session: Session, role_ids: Iterable[str]) -> list[tuple[str, str]]:
    """(id, name) of those of the roles that may stand in a token, by name."""
    query = select(Role.id, Role.name).where(Role.id.in_(list(role_ids)), Role.domain_id.is_(None))
    return [(role_id, name) for role_id, name in session.execute(query.order_by(Role.name))]


def has_system_role(session: Session, user_id: str) -> bool:
    """Whether the user has any role on the system."""
    return bool(roles_on(session, user_id, SYSTEM, None))


def project_ids(session: Session, user_id: str) -> set[str]:
    """The projects on which the user has any role."""
    found: set[str] = set()
    inherited: set[str] = set()
    rows = session.execute(
        select(Assignment.target_type, Assignment.target_id, Assignment.inherited).where(
            is_actor(user_id, group_ids(session, user_id)), Assignment.target_type.in_((PROJECT, DOMAIN))
        )
    )
    for target_type, target_id, is_inherited in rows:
        if is_inherited:
            inherited.add(target_id)
        elif target_type == PROJECT:
            found.add(target_id)
    return found | descendants(session, inherited)


def domain_ids(session: Session, user_id: str) -> set[str]:
    """The domains on which the user has any role."""
    return set(
        session.scalars(
            select(Assignment.target_id).where(
                is_actor(user_id, group_ids(session, user_id)),
                Assignment.target_type == DOMAIN,
                Assignment.inherited.is_(False),
            )
        )
    )


def descendants(session: Session, parents: Iterable[str]) -> set[str]:
    """All projects below these."""
    found: set[str] = set()
    level = set(parents)
    while level:
        below = set(session.scalars(select(Project.id).where(Project.parent_id.in_(level))))
        level = below - found
        found |= below
    return found
