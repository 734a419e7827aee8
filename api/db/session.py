"""Sessions: short read and write transactions on SQLite (WAL) or PostgreSQL.

On both, a write transaction is alone, so rooms may look, decide and write without another's write in between. On
PostgreSQL it holds an advisory lock for that; the engines' claims, which lock the rows that they take, do without.
A write transaction on SQLite is BEGIN IMMEDIATE. Writers queue at a lock (threads and processes) before it, because
SQLite's own busy handler lets waiting writers starve. See sqlite.org/lang_transaction.html and /wal.html.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from api.config import settings


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


class Write:
    """A write transaction under way: `session`, and its two ends. After either one it is over, also when that fails."""

    def __init__(self, session: Session, release: Callable[[], None]) -> None:
        self.session = session
        self._release = release

    def commit(self) -> None:
        """Stores everything, then calls what `after_commit` asked for; when storing fails, nothing was stored."""
        try:
            self.session.commit()
        except BaseException:
            self.session.rollback()
            raise
        finally:
            self._end()
        for hook in self.session.info.pop("after_commit", []):
            hook()

    def rollback(self) -> None:
        """Stores nothing."""
        try:
            self.session.rollback()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self.session.close()
        finally:
            self._release()


def _nothing() -> None:
    """On PostgreSQL the transaction's own end lets the next writer in."""


class Database:
    """One process's connections to the database at `url` (an SQLAlchemy URL)."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"json_serializer": _dumps, "json_deserializer": orjson.loads}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
        else:
            options["pool_pre_ping"] = True
        self.engine: Engine = create_engine(url, **options)
        self._writers = threading.Lock()
        self._lock_path: str | None = None
        if self.is_sqlite:
            path = self.engine.url.database
            if path and path != ":memory:":
                self._lock_path = f"{path}.lock"
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "begin", _begin_postgres)
        self._write_engine = self.engine.execution_options(stratiform_write=True)
        self._read_engine = self.engine
        if not self.is_sqlite:
            self._read_engine = self.engine.execution_options(isolation_level="REPEATABLE READ")

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A read transaction: a consistent view, never committed. What was loaded can be read after its end."""
        with self.begin_read() as session:
            yield session

    @contextlib.contextmanager
    def write(self, *, alone: bool = True) -> Iterator[Session]:
        """A write transaction: committed at the end, rolled back by an exception. Keep it short: no work inside it.

        `alone=False` lets it run beside others on PostgreSQL; it must lock the rows that it decides about.
        """
        write = self.begin_write(alone=alone)
        try:
            yield write.session
        except BaseException:
            write.rollback()
            raise
        write.commit()

    def begin_read(self) -> Session:
        """A read transaction that the caller closes."""
        return Session(self._read_engine, expire_on_commit=False, autoflush=False)

    def begin_write(self, *, alone: bool = True) -> Write:
        """A write transaction that the caller commits or rolls back, and must do so soon: others wait for it."""
        release = self._take_turn() if self.is_sqlite else _nothing
        engine = self._write_engine if alone or self.is_sqlite else self.engine
        return Write(Session(engine, expire_on_commit=False), release)

    def _take_turn(self) -> Callable[[], None]:
        """Waits for the writers before this one; gives what lets the next one in."""
        self._writers.acquire()
        if self._lock_path is None:
            return self._writers.release
        descriptor = -1
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            self._writers.release()
            raise

        def release() -> None:
            os.close(descriptor)
            self._writers.release()

        return release

    def dispose(self) -> None:
        """Closes all connections."""
        self.engine.dispose()


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where pysqlite guesses
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-2000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("stratiform_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


WRITERS_LOCK = 0x5747_5257
"""PostgreSQL's advisory lock of write transactions."""
WRITERS_WAIT_S = 30


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get("stratiform_write"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WRITERS_WAIT_S}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")


def after_commit(session: Session, hook: Callable[[], None]) -> None:
    """Calls `hook` once the transaction of `session` is committed and its writers' lock is free."""
    session.info.setdefault("after_commit", []).append(hook)


_databases: dict[int, Database] = {}


def database() -> Database:
    """The database of the settings; each process has its own connections, also after a fork."""
    pid = os.getpid()
    if pid not in _databases:
        _databases.clear()  # inherited from a parent: neither used nor closed here
        _databases[pid] = Database(settings().database_url)
    return _databases[pid]


def use_database(db: Database) -> None:
    """Makes `db` this process's database (tests, tools)."""
    _databases.clear()
    _databases[os.getpid()] = db
