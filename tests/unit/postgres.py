"""A PostgreSQL server for tests: Debian's programs, a folder of its own, no network, no fsync."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
_CHOICE = "STRATIFORM_TEST_DATABASE"


def chosen() -> bool:
    """Whether the whole suite is to run on PostgreSQL (STRATIFORM_TEST_DATABASE=postgresql)."""
    choice = os.environ.get(_CHOICE, "sqlite")
    if choice not in ("sqlite", "postgresql"):
        raise ValueError(f"{_CHOICE} is {choice!r}; give sqlite or postgresql")
    return choice == "postgresql"


def available() -> bool:
    """Whether a server can be started: its programs are there, and we may become the user `postgres`."""
    return bool(BINARIES) and os.geteuid() == 0


class Server:
    """A running server; `stop()` removes it."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="stratiform-pg-")
        shutil.chown(self.folder, "postgres", "postgres")
        self._data = f"{self.folder}/data"
        self._numbers = itertools.count(1)
        self._call("initdb", "-D", self._data, "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8")
        options = (
            f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c full_page_writes=off "
            "-c shared_buffers=32MB -c max_connections=200"
        )
        self._call("pg_ctl", "-D", self._data, "-o", options, "-w", "-l", f"{self.folder}/log", "start")

    def _call(self, program: str, *arguments: str) -> None:
        owner = pwd.getpwnam("postgres")
        subprocess.run(
            [str(BINARIES[0] / program), *arguments], user=owner.pw_uid, group=owner.pw_gid, extra_groups=[], cwd="/",
            check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def url(self, name: str = "postgres") -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def _run(self, statement: str) -> None:
        with psycopg.connect(host=self.folder, user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def make(self, template: str = "template0") -> str:
        """A new database, a copy of `template`; its name."""
        name = f"test_{next(self._numbers)}"
        self._run(f'CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY')
        return name

    def drop(self, name: str) -> None:
        """Removes a database, whoever uses it."""
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        """Ends the server and removes its folder."""
        self._call("pg_ctl", "-D", self._data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder)
