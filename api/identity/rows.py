"""What changing any of identity's rows has in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.db.base import Base
from api.http.faults import Conflict, Forbidden, NotFound

T = TypeVar("T", bound=Base)
_OURS = frozenset(("id", "links", "extra", "created_at", "tokens_valid_after", "password_hash"))
"""Attributes that no body sets: they are neither columns to write nor kept as extra ones."""


class _WithExtra(Protocol):
    extra: Any


class _WithOptions(Protocol):
    options: Any


def get(session: Session, table: type[T], id_: str | None, noun: str) -> T:
    """The row of that id; 404 when there is none."""
    row = session.get(table, id_) if id_ is not None else None
    return row if row is not None else missing(f"{noun}: {id_}")


def missing(what: str) -> NoReturn:
    """The 404 for what is not there."""
    raise NotFound(f"Could not find {what}.")


def assign(row: _WithExtra, given: Mapping[str, Any], columns: Collection[str]) -> None:
    """Sets the columns that the body gives; keeps what else it gives as extra attributes, as OpenStack does."""
    extra = dict(row.extra or {})
    for name, value in given.items():
        if name in columns:
            setattr(row, name, value)
        elif name not in _OURS:
            extra[name] = value
    row.extra = extra


def merge_options(row: _WithOptions, given: Mapping[str, Any] | None) -> None:
    """Sets resource options; null removes one."""
    merged = {**(row.options or {}), **(given or {})}
    row.options = {name: value for name, value in merged.items() if value is not None}


def check_mutable(row: _WithOptions, noun: str, id_: str, given: Mapping[str, Any] | None = None) -> None:
    """403 for a change of what is marked immutable, unless the change takes the mark away."""
    lifts = given is not None and (given.get("options") or {}).get("immutable", True) in (False, None)
    if (row.options or {}).get("immutable") and not lifts:
        raise Forbidden(
            f"The {noun} {id_} is immutable. Set its option immutable to false first (options: {{immutable: false}})."
        )


def flush(session: Session, noun: str, name: str | None) -> None:
    """Writes what is pending; 409 when the name is taken."""
    try:
        session.flush()
    except IntegrityError as error:
        message = f"Conflict occurred attempting to store {noun} - Duplicate entry found with name {name}."
        raise Conflict(message) from error
