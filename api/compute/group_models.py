"""Tables of what groups servers and hosts: server groups, and host aggregates."""

from __future__ import annotations

import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.db.base import Base, Json, new_uuid, utcnow

AFFINITY, ANTI_AFFINITY = "affinity", "anti-affinity"
SOFT_AFFINITY, SOFT_ANTI_AFFINITY = "soft-affinity", "soft-anti-affinity"


class ServerGroup(Base):
    """Servers that go to one host, or to different ones. Its members are the servers whose `group_id` it is.

    `rules` may hold `max_server_per_host` of an anti-affinity group (1 where it is not said).
    """

    __tablename__ = "server_groups"
    __table_args__ = {"sqlite_autoincrement": True}

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_uuid)
    project_id: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[str]
    name: Mapped[str]
    policy: Mapped[str]
    rules: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class Aggregate(Base):
    """Hosts that an operator groups. One that names an availability zone puts its hosts into it."""

    __tablename__ = "aggregates"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(unique=True, default=new_uuid)
    name: Mapped[str] = mapped_column(unique=True)
    availability_zone: Mapped[str | None]
    meta: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime | None]
    hosts: Mapped[list[AggregateHost]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="AggregateHost.position"
    )


class AggregateHost(Base):
    """A host of an aggregate, in the order in which they were added."""

    __tablename__ = "aggregate_hosts"

    aggregate_id: Mapped[int] = mapped_column(ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True)
    host: Mapped[str] = mapped_column(primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)
