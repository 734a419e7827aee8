"""The current request: its caller, its ids and its database sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import g
from sqlalchemy.orm import Session

from api.db.session import Write, database
from api.http.context import Context
from api.http.faults import Unauthorized

F = TypeVar("F", bound=Callable[..., object])


def public(handler: F) -> F:
    """Marks a handler that answers without a token (version documents, authentication)."""
    handler.stratiform_public = True  # type: ignore[attr-defined]
    return handler


def request_id() -> str:
    """The local id of this request, always of our making: `req-<uuid>`."""
    value: str = g.request_id
    return value


def context() -> Context:
    """The caller; 401 when the request carries no valid token."""
    found: Context | None = g.get("context")
    if found is None:
        raise Unauthorized("The request you have made requires authentication.")
    return found


def read_session() -> Session:
    """This request's read transaction, opened at first use and closed with the request."""
    if "read_session" not in g:
        g.read_session = database().begin_read()
    session: Session = g.read_session
    return session


def write_session() -> Session:
    """This request's write transaction: opened at first use, committed before the answer, rolled back by a fault.

    SQLite has one writer at a time: validate, hash and compute before the first call.
    """
    if "write" not in g:
        g.write = database().begin_write()
    write: Write = g.write
    return write.session


def finish_write(*, commit: bool) -> None:
    """Commits or rolls back the request's write transaction, if it has one."""
    write: Write | None = g.pop("write", None)
    if write is None:
        return
    if commit:
        write.commit()
    else:
        write.rollback()


def finish_read() -> None:
    """Ends the request's read transaction, if it has one."""
    session: Session | None = g.pop("read_session", None)
    if session is not None:
        session.close()
