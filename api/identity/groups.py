"""Groups of users."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from api.http.faults import BadRequest
from api.identity import projects, rows
from api.identity.links import link
from api.identity.models import GROUP, Assignment, Group, Membership, User

_COLUMNS = ("name", "description")


def view(group: Group) -> dict[str, Any]:
    """A group as the API shows it."""
    return {
        **group.extra, "id": group.id, "name": group.name, "domain_id": group.domain_id,
        "description": group.description, "links": {"self": link("groups", group.id)},
    }  # fmt: skip


def create(session: Session, given: dict[str, Any], domain_id: str | None) -> Group:
    """A new group; `domain_id` is the caller's, for a body that names none."""
    group = Group(domain_id=projects.get_domain(session, given.get("domain_id") or domain_id).id)
    rows.assign(group, {name: value for name, value in given.items() if name != "domain_id"}, _COLUMNS)
    group.description = group.description or ""
    session.add(group)
    rows.flush(session, "group", group.name)
    return group


def change(session: Session, group_id: str, given: dict[str, Any]) -> Group:
    """The group, changed as the body says."""
    group = rows.get(session, Group, group_id, "group")
    if given.get("domain_id", group.domain_id) != group.domain_id:
        raise BadRequest("domain_id of a group cannot be changed.")
    rows.assign(group, {name: value for name, value in given.items() if name != "domain_id"}, _COLUMNS)
    group.description = group.description or ""
    rows.flush(session, "group", group.name)
    return group


def remove(session: Session, group_id: str) -> None:
    """Deletes a group with its assignments and memberships."""
    group = rows.get(session, Group, group_id, "group")
    session.execute(delete(Assignment).where(Assignment.actor_type == GROUP, Assignment.actor_id == group_id))
    session.delete(group)
    session.flush()


def add_user(session: Session, group_id: str, user_id: str) -> None:
    """Puts the user into the group, if it is not there."""
    rows.get(session, Group, group_id, "group")
    rows.get(session, User, user_id, "user")
    if session.get(Membership, (group_id, user_id)) is None:
        session.add(Membership(group_id=group_id, user_id=user_id))


def membership(session: Session, group_id: str, user_id: str) -> Membership:
    """The membership, or 404."""
    found = session.get(Membership, (group_id, user_id))
    return found if found is not None else rows.missing(f"user {user_id} in group {group_id}")


def remove_user(session: Session, group_id: str, user_id: str) -> None:
    """Takes the user out of the group; 404 when it is not there."""
    session.delete(membership(session, group_id, user_id))
