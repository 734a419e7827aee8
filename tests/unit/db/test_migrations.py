"""The migrations and the models agree, and upgrading twice changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from api.db import migrate
from api.db.base import Base
from api.services import load_services

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres  # noqa: E402


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.db"
        return
    if not postgres.available():
        pytest.skip("needs PostgreSQL's server programs, and root to start them as the user postgres")
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = server.make()
    yield server.url(name)
    server.drop(name)


def test_migrations_make_the_tables_of_the_models(url: str) -> None:
    load_services()
    assert migrate.upgrade(url) is True
    assert migrate.upgrade(url) is False
    engine = create_engine(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []
