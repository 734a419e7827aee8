"""The declarative base, column types and id makers that every service's tables share."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from sqlalchemy import JSON, DateTime, MetaData
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

Json = dict[str, Any]


class UtcDateTime(TypeDecorator[datetime.datetime]):
    """An aware UTC time, microseconds kept; stored without zone, so that SQLite and PostgreSQL hold the same."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone was given to the database")
        return value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime.datetime | None, dialect: Dialect) -> datetime.datetime | None:
        return None if value is None else value.replace(tzinfo=datetime.UTC)


class Base(DeclarativeBase):
    """Base of all tables. Constraint names are fixed, because migrations must be able to name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime.datetime: UtcDateTime, Json: JSON, list[Any]: JSON}


def utcnow() -> datetime.datetime:
    """Now, aware, UTC."""
    return datetime.datetime.now(datetime.UTC)


def new_uuid() -> str:
    """An id as every service but identity writes it: dashed."""
    return str(uuid.uuid4())


def new_hex_id() -> str:
    """An id as identity writes it: 32 hexadecimal digits."""
    return uuid.uuid4().hex
