"""What the operator asks of passwords: form, age, and not to be chosen again too soon (settings `[identity]`)."""

from __future__ import annotations

import datetime
import re
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import utcnow
from api.http.faults import BadRequest
from api.identity.models import FormerPassword, User


class _Account(Protocol):
    """A user, or the columns of one that logins read."""

    @property
    def options(self) -> Any: ...
    @property
    def password_at(self) -> datetime.datetime | None: ...
    @property
    def created_at(self) -> datetime.datetime: ...
    @property
    def must_change_password(self) -> bool: ...


def check_form(password: str) -> None:
    """400 unless the password fits the operator's expression."""
    rules = settings().identity
    if rules.password_regex and not re.fullmatch(rules.password_regex, password):
        raise BadRequest(f"The password does not match the requirements: {rules.password_regex_description}.")


def expires_at(account: _Account) -> datetime.datetime | None:
    """When the password stops to hold; None: never."""
    days = settings().identity.password_expires_days
    if not days or account.options.get("ignore_password_expiry"):
        return None
    return (account.password_at or account.created_at) + datetime.timedelta(days=days)


def must_be_changed(account: _Account) -> bool:
    """Whether nobody logs in with the password before the user has changed it."""
    end = expires_at(account)
    return (end is not None and end <= utcnow()) or account.must_change_password


def check_own_change(session: Session, user: Any, new: str) -> None:
    """400 unless the user may take this password now. Verifies hashes: not inside a write transaction."""
    from api.identity import passwords  # argon2, which the engine never needs

    rules = settings().identity
    check_form(new)
    age = utcnow() - (user.password_at or user.created_at)
    if not user.must_change_password and age < datetime.timedelta(days=rules.password_minimum_age_days):
        raise BadRequest(f"A password can be changed {rules.password_minimum_age_days} days after the last change.")
    if rules.password_history < 2:
        return
    former = session.scalars(
        select(FormerPassword.password_hash).where(FormerPassword.user_id == user.id)
        .order_by(FormerPassword.ended_at.desc()).limit(rules.password_history - 2)
    )  # fmt: skip
    if any(passwords.verify(stored, new) for stored in (user.password_hash, *former) if stored):
        raise BadRequest(
            f"The new password cannot be identical to a previous password: the last {rules.password_history} differ."
        )


def set_password(session: Session, user: User, password_hash: str | None, *, by_user: bool) -> None:
    """Gives the user another password and remembers the one before."""
    if user.password_hash is not None and user.id is not None:
        session.add(FormerPassword(user_id=user.id, password_hash=user.password_hash, ended_at=utcnow()))
        _forget_oldest(session, user.id)
    first_use = settings().identity.change_password_upon_first_use
    ignores = (user.options or {}).get("ignore_change_password_upon_first_use")
    user.must_change_password = first_use and not by_user and not ignores
    user.password_hash, user.password_at = password_hash, utcnow()


def _forget_oldest(session: Session, user_id: str) -> None:
    kept = max(0, settings().identity.password_history - 1)
    query = select(FormerPassword).where(FormerPassword.user_id == user_id)
    for row in session.scalars(query.order_by(FormerPassword.ended_at.desc()).offset(kept)):
        session.delete(row)
