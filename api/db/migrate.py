"""Schema migrations with Alembic: `upgrade()` brings any earlier schema to this version's."""

from __future__ import annotations

import functools
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

HERE = Path(__file__).parent / "migrations"


@functools.cache
def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(config("sqlite://"))


def config(url: str) -> Config:
    """Alembic's configuration, without a file."""
    options = Config()
    options.set_main_option("script_location", str(HERE))
    options.attributes["url"] = url
    return options


def upgrade(url: str) -> bool:
    """Upgrades the database at `url`; whether anything changed."""
    engine = create_engine(url)
    with engine.connect() as connection:
        before = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    if before == _script().get_current_head():
        return False
    command.upgrade(config(url), "head")
    return True
