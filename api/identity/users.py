"""Users: making, changing and deleting them, and their passwords."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from api.db import events
from api.db.base import utcnow
from api.db.session import database
from api.http.faults import BadRequest, Forbidden
from api.identity import authentication, password_rules, passwords, projects, rows, times, tokens
from api.identity.links import link
from api.identity.models import USER, Assignment, Project, User

_COLUMNS = ("name", "description", "enabled", "default_project_id")
_NOT_EXTRA = ("domain_id", "password", "original_password", "options", "password_expires_at", "federated")


def view(user: User) -> dict[str, Any]:
    """A user as the API shows it; `default_project_id` and `description` only when they are set."""
    expires_at = password_rules.expires_at(user) if user.password_hash else None
    shown: dict[str, Any] = {
        **user.extra, "id": user.id, "name": user.name, "domain_id": user.domain_id, "enabled": user.enabled,
        "options": user.options, "password_expires_at": times.iso_micro(expires_at),
        "links": {"self": link("users", user.id)},
    }  # fmt: skip
    if user.default_project_id is not None:
        shown["default_project_id"] = user.default_project_id
    if user.description is not None:
        shown["description"] = user.description
    return shown


def hash_given(given: dict[str, Any]) -> str | None:
    """The hash of the body's password, if it has one. To be made before the write transaction: it takes 25 ms."""
    password = given.get("password")
    if password:
        password_rules.check_form(password)
    return passwords.hash_password(password) if password else None


def create(session: Session, given: dict[str, Any], domain_id: str | None, password_hash: str | None) -> User:
    """A new user; `domain_id` is the caller's, for a body that names none."""
    domain = projects.get_domain(session, given.get("domain_id") or domain_id)
    user = User(domain_id=domain.id, created_at=utcnow())
    rows.assign(user, {name: value for name, value in given.items() if name not in _NOT_EXTRA}, _COLUMNS)
    user.enabled = given.get("enabled", True)
    rows.merge_options(user, given.get("options"))
    _check_default_project(session, user.default_project_id)
    if password_hash is not None:
        password_rules.set_password(session, user, password_hash, by_user=False)
    session.add(user)
    rows.flush(session, "user", user.name)
    return user


def change(session: Session, user_id: str, given: dict[str, Any], password_hash: str | None) -> User:
    """The user, changed as the body says. A new password and disabling end the tokens."""
    user = rows.get(session, User, user_id, "user")
    if given.get("domain_id", user.domain_id) != user.domain_id:
        raise BadRequest("domain_id of a user cannot be changed.")
    if "default_project_id" in given:
        _check_default_project(session, given["default_project_id"])
    if "password" in given:
        password_rules.set_password(session, user, password_hash, by_user=False)
    if "password" in given or (user.enabled and not given.get("enabled", True)):
        user.tokens_valid_after = utcnow()
    rows.assign(user, {name: value for name, value in given.items() if name not in _NOT_EXTRA}, _COLUMNS)
    if "options" in given:
        rows.merge_options(user, given["options"])
    rows.flush(session, "user", user.name)
    return user


def _check_default_project(session: Session, project_id: str | None) -> None:
    project = session.get(Project, project_id) if project_id else None
    if project is not None and project.is_domain:
        raise BadRequest("default_project_id must not be a domain.")


def change_password(session: Session, user_id: str, original: str, new: str) -> None:
    """The user's own change of password, proved by the present one: else 401; 403 when locked, 400 against the rules.

    Ends the user's tokens. Reads with `session`; writes in a transaction of its own, after the hashing.
    """
    known = tokens.find_user(session, User.id == user_id)
    authentication.check_password(session, known, original)
    if known is None or not (known.enabled and known.domain_enabled):
        raise authentication.refused("the user is disabled")
    if known.options.get("lock_password"):
        raise Forbidden("This user's password is locked: an administrator changes it.")
    password_rules.check_own_change(session, known, new)
    fresh = passwords.hash_password(new)
    with database().write() as writing:
        user = rows.get(writing, User, user_id, "user")
        password_rules.set_password(writing, user, fresh, by_user=True)
        user.tokens_valid_after = utcnow()


def remove(session: Session, user_id: str) -> None:
    """Deletes a user with its assignments and memberships. Announces it first."""
    user = rows.get(session, User, user_id, "user")
    events.announce(session, "user.before_delete", user_id=user_id)
    session.execute(delete(Assignment).where(Assignment.actor_type == USER, Assignment.actor_id == user_id))
    session.delete(user)
    session.flush()
