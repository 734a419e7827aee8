"""Alembic's environment: one online migration in one transaction."""

from alembic import context
from sqlalchemy import create_engine

from api.db.base import Base

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=connection.dialect.name == "sqlite",
        user_module_prefix="base.",
    )  # fmt: skip
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
