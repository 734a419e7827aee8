"""The current request: its caller, its ids and its database sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

from flask import g
from sqlalchemy.orm import Session

from api.db.session import database
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
        g.read_session = _stack().enter_context(database().read())
    session: Session = g.read_session
    return session


def write_session() -> Session:
    """This request's write transaction: opened at first use, committed before the answer, rolled back by a fault.

    SQLite has one writer at a time: validate, hash and compute before the first call.
    """
    if "write_session" not in g:
        g.write_stack = contextlib.ExitStack()
        g.write_session = g.write_stack.enter_context(database().write())
    session: Session = g.write_session
    return session


def _stack() -> contextlib.ExitStack:
    if "read_stack" not in g:
        g.read_stack = contextlib.ExitStack()
    stack: contextlib.ExitStack = g.read_stack
    return stack


class _Rollback(Exception):
    """Ends a write transaction without committing."""


def finish_write(*, commit: bool) -> None:
    """Commits or rolls back the request's write transaction, if it has one."""
    stack: contextlib.ExitStack | None = g.pop("write_stack", None)
    g.pop("write_session", None)
    if stack is None:
        return
    if commit:
        stack.close()
        return
    with contextlib.suppress(_Rollback):
        error = _Rollback()
        if not stack.__exit__(_Rollback, error, None):
            raise error


def finish_read() -> None:
    """Ends the request's read transaction, if it has one."""
    stack: contextlib.ExitStack | None = g.pop("read_stack", None)
    g.pop("read_session", None)
    if stack is not None:
        stack.close()
