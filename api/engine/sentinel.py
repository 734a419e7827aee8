"""An engine's own connection to PostgreSQL: it is woken by notifications, and one engine of all leads.

On SQLite there is none of this: one engine runs beside the API, woken by its socket.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import time
from collections.abc import Callable

import psycopg
from sqlalchemy import make_url

from api.db.postgres import CHANNEL

OBSERVER = 0x5747_4F42
"""The advisory lock of the engine that observes the hosts."""
RETRY_AFTER_S = 2.0
log = logging.getLogger("stratiform.engine")


class Sentinel:
    """An engine's own connection: it hears notifications, and holds the observers' lock while it lives."""

    def __init__(self, url: str, selector: selectors.BaseSelector, on_work: Callable[[], None]) -> None:
        parts = make_url(url)
        self._parameters = {
            "host": parts.query.get("host") or parts.host, "port": parts.port, "dbname": parts.database,
            "user": parts.username, "password": parts.password,
            **{name: value for name, value in parts.query.items() if name != "host"},
        }  # fmt: skip
        self._selector = selector
        self._on_work = on_work
        self._connection: psycopg.Connection[tuple[bool]] | None = None
        self._fd = -1
        self._retry_at = 0.0
        self.leads = False
        """Whether this engine is the one that observes the hosts."""

    def step(self) -> None:
        """Connects, and tries to become the observer. To be called now and then."""
        try:
            if self._connection is None and time.monotonic() >= self._retry_at:
                self._connect()
            if self._connection is not None and not self.leads:
                row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (OBSERVER,)).fetchone()
                self.leads = bool(row and row[0])
                if self.leads:
                    log.info("this engine observes the hosts")
            elif self._connection is not None:
                self._connection.execute("SELECT 1")  # the lock is ours as long as this answers
        except psycopg.Error as error:
            log.error("no connection for notifications (%s); trying again", type(error).__name__)
            self.close()
            self._retry_at = time.monotonic() + RETRY_AFTER_S
            self._on_work()

    def _connect(self) -> None:
        given = {name: value for name, value in self._parameters.items() if value is not None}
        self._connection = psycopg.connect(
            autocommit=True, connect_timeout=5, application_name="stratiform-engine", **given  # type: ignore[arg-type]
        )
        self._connection.execute(f"LISTEN {CHANNEL}".encode())
        self._fd = self._connection.fileno()
        self._selector.register(self._fd, selectors.EVENT_READ, self._hear)
        self._on_work()  # whatever was said meanwhile

    def _hear(self) -> None:
        if self._connection is None:
            return
        try:
            for _ in self._connection.notifies(timeout=0):
                self._on_work()
        except psycopg.Error:
            self.close()
            self._on_work()

    def close(self) -> None:
        """Ends the connection, and with it the lead."""
        self.leads = False
        if self._connection is not None:
            with contextlib.suppress(KeyError):  # LISTEN failed before it was registered
                self._selector.unregister(self._fd)
            self._connection.close()
            self._connection = None
