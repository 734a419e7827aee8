"""A consistent copy of the database while it is in use, and its way back.

SQLite is copied by its online backup (sqlite.org/backup.html), PostgreSQL by pg_dump and pg_restore in the custom
format.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url


class BackupError(Exception):
    """It could not be copied; the sentence says why."""


def save(url: str, target: Path) -> None:
    """Writes a copy of the database at `url` to the file `target` (0600), which appears when it is whole."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    if _is_sqlite(url):
        _copy(_file(url), part)
        _check(part)
    else:
        _run("pg_dump", "--format=custom", "--no-owner", f"--file={part}", url=url)
    part.replace(target)


def load(url: str, source: Path) -> None:
    """Makes the database at `url` what the copy says. Nothing may use the database meanwhile."""
    if not _is_sqlite(url):
        options = ["--clean", "--if-exists", "--no-owner", "--single-transaction", f"--dbname={make_url(url).database}"]
        _run("pg_restore", *options, str(source), url=url)
        return
    _check(source)
    path = _file(url)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    _copy(source, part)
    for leftover in ("-wal", "-shm"):
        path.with_name(path.name + leftover).unlink(missing_ok=True)
    part.replace(path)


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def _file(url: str) -> Path:
    name = make_url(url).database
    if not name or name == ":memory:":
        raise BackupError("a database in memory has nothing to copy")
    return Path(name)


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        raise BackupError(f"there is no database {source}")
    # Not opened read-only: a database in WAL mode that nobody has open needs its -shm file made.
    with closing(sqlite3.connect(source)) as from_, closing(sqlite3.connect(target)) as to:
        from_.backup(to)


def _check(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
            answer = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{path} is no SQLite database: {error}") from error
    if answer != "ok":
        raise BackupError(f"{path} is damaged: {answer}")


def _run(program: str, *arguments: str, url: str) -> None:
    """A PostgreSQL program; the connection goes by the environment, because others can read a command line."""
    parts = make_url(url)
    wanted = {
        "PGHOST": parts.host or str(parts.query.get("host", "")), "PGPORT": str(parts.port or ""),
        "PGUSER": parts.username or "", "PGPASSWORD": str(parts.password or ""), "PGDATABASE": parts.database or "",
    }  # fmt: skip
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
    environment |= {name: value for name, value in wanted.items() if value}
    try:
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BackupError(f"{program} is missing: install postgresql-client") from error
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-500:]}")
