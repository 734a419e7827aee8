"""A number that rises with each change of what validated tokens depend on, and its cheap reading.

Writing any `TokenRelevant` table raises it, in the same transaction. On SQLite a reader first asks
`PRAGMA data_version` (3.5 µs: has anyone committed anything?) and reads the number only when that changed
(sqlite.org/pragma.html#pragma_data_version); on PostgreSQL it reads the row.
"""

from __future__ import annotations

import itertools
import threading
from typing import Any

from sqlalchemy import event, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from api.db.session import Database, database
from api.identity.models import TokenRelevant, Version

ROW = 1
_READ = f"SELECT number FROM {Version.__tablename__} WHERE id = {ROW}"


def number(session: Session) -> int:
    """The number as the session's transaction sees it (0 before bootstrap)."""
    return session.scalar(select(Version.number).where(Version.id == ROW)) or 0


def _raise_number(session: Session) -> None:
    session.connection().execute(update(Version).where(Version.id == ROW).values(number=Version.number + 1))


@event.listens_for(Session, "after_flush")
def _after_flush(session: Session, _context: UOWTransaction) -> None:
    if any(isinstance(item, TokenRelevant) for item in itertools.chain(session.new, session.dirty, session.deleted)):
        _raise_number(session)


@event.listens_for(Session, "do_orm_execute")
def _on_execute(state: ORMExecuteState) -> None:
    if state.is_select or not (state.is_update or state.is_delete or state.is_insert):
        return
    mapper = state.bind_mapper
    if mapper is not None and issubclass(mapper.class_, TokenRelevant):
        _raise_number(state.session)


class Watch:
    """Reads the current number for one process, over a connection of its own on SQLite."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._lock = threading.Lock()
        self._connection: DBAPIConnection | None = None
        self._data_version = -1
        self._number = 0

    def current(self) -> int:
        """The number now."""
        if not self.db.is_sqlite:
            with self.db.read() as session:
                return number(session)
        with self._lock:
            if self._connection is None:
                self._connection = self._open()
            cursor = self._connection.cursor()
            seen = cursor.execute("PRAGMA data_version").fetchone()[0]
            if seen != self._data_version:
                row: Any = cursor.execute(_READ).fetchone()
                self._number = row[0] if row else 0
                self._data_version = seen
            return self._number

    def _open(self) -> Any:
        pooled = self.db.engine.raw_connection()
        connection = pooled.dbapi_connection
        pooled.detach()  # it stays open for the life of the process, beside the pool
        return connection

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


_watch: Watch | None = None


def current() -> int:
    """The number now, for this process's database."""
    global _watch
    db = database()
    if _watch is None or _watch.db is not db:
        _watch = Watch(db)  # a watch inherited over a fork is left alone: its connection is the parent's
    return _watch.current()


def close() -> None:
    """Closes this process's watch (tests, tools)."""
    global _watch
    if _watch is not None:
        _watch.close()
        _watch = None
