"""The inventory's hosts and what the engine observes of them. The engine writes, services read."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from api.db.base import Base, Json, utcnow

DOWN_AFTER_S = 60


class Host(Base):
    """A host of the inventory. `facts` are those of the resident worker (docs/contracts.md); sizes carry their unit."""

    __tablename__ = "hosts"

    name: Mapped[str] = mapped_column(primary_key=True)
    groups: Mapped[list[Any]] = mapped_column(default=list)
    variables: Mapped[Json] = mapped_column(default=dict)
    facts: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    heartbeat_at: Mapped[datetime.datetime | None]
    boot_id: Mapped[str | None]

    def is_up(self, now: datetime.datetime | None = None) -> bool:
        """Whether the last heartbeat is at most DOWN_AFTER_S seconds old."""
        age = (now or utcnow()) - self.heartbeat_at if self.heartbeat_at else None
        return age is not None and age.total_seconds() <= DOWN_AFTER_S


def list_hosts(session: Session, group: str | None = None) -> list[Host]:
    """All hosts by name, or those of one inventory group (`control`, `network`, `compute`)."""
    hosts = session.scalars(select(Host).order_by(Host.name))
    return [host for host in hosts if group is None or group in host.groups]
