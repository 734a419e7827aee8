"""Copies of the database: whole, while it is written to, and back."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from api.db import backup


def rows(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT n FROM t ORDER BY n")]


@pytest.fixture
def live(tmp_path: Path) -> Path:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (n INTEGER)")
        database.execute("INSERT INTO t VALUES (1)")
        database.commit()
    return path


def test_a_copy_holds_what_is_committed_and_nothing_else(live: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(live)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()  # stands in the WAL alone
        writer.execute("INSERT INTO t VALUES (3)")
        backup.save(f"sqlite:///{live}", tmp_path / "copy")
        writer.rollback()
    assert rows(tmp_path / "copy") == [1, 2]
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part"))


def test_the_way_back_forgets_what_came_later(live: Path, tmp_path: Path) -> None:
    backup.save(f"sqlite:///{live}", tmp_path / "copy")
    with closing(sqlite3.connect(live)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        backup.load(f"sqlite:///{live}", tmp_path / "copy")
    assert rows(live) == [1]


def test_a_damaged_copy_changes_nothing(live: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"not a database" * 100)
    with pytest.raises(backup.BackupError, match="no SQLite database"):
        backup.load(f"sqlite:///{live}", bad)
    assert rows(live) == [1]


def test_a_missing_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(backup.BackupError, match="there is no database"):
        backup.save(f"sqlite:///{tmp_path}/none.db", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
