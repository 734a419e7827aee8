"""Purges of projects."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base, utcnow

RUNNING, DONE, INCOMPLETE = "running", "done", "incomplete"


class ProjectPurge(Base):
    """The last purge of a project. Its jobs carry `request_id`; `remaining` counts what still hangs on the project."""

    __tablename__ = "project_purges"

    project_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default=RUNNING, index=True)
    request_id: Mapped[str]
    user_id: Mapped[str]
    remaining: Mapped[int] = mapped_column(default=0)
    removed: Mapped[int] = mapped_column(default=0)
    leftovers: Mapped[list[Any]] = mapped_column(default=list)
    started_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    progress_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    finished_at: Mapped[datetime.datetime | None]
