"""The migrations and the models agree, and upgrading twice changes nothing."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from api.db import migrate
from api.db.base import Base
from api.services import load_services


def test_migrations_make_the_tables_of_the_models(tmp_path: Path) -> None:
    load_services()
    url = f"sqlite:///{tmp_path}/test.db"
    assert migrate.upgrade(url) is True
    assert migrate.upgrade(url) is False
    engine = create_engine(url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []
