"""The jobs table and its companions. A job's request document and events are files (docs/contracts.md)."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.db.base import Base, Json, new_uuid, utcnow

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
UNFINISHED = (QUEUED, RUNNING)

TRANSITIONS = {
    QUEUED: {RUNNING, CANCELLED, FAILED},
    RUNNING: {DONE, FAILED, CANCELLED, QUEUED},  # back to queued: taken over, or retried
    DONE: set(),
    FAILED: set(),
    CANCELLED: set(),
}


class Job(Base):
    """One playbook run to come, under way or past. `number` grows monotonically: it is the generation of documents."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state_number", "state", "number"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_uuid)
    request_id: Mapped[str] = mapped_column(index=True)
    global_request_id: Mapped[str | None]
    action: Mapped[str]
    args: Mapped[Json] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(default=QUEUED)
    attempts: Mapped[int] = mapped_column(default=0)
    user_id: Mapped[str | None]
    project_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    not_before: Mapped[datetime.datetime | None]
    deadline_at: Mapped[datetime.datetime]
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]
    owner: Mapped[str | None]
    heartbeat_at: Mapped[datetime.datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    hosts: Mapped[list[Any]] = mapped_column(default=list)
    steps: Mapped[list[Any]] = mapped_column(default=list)  # {name, host, started_at, finished_at, result, message}
    result: Mapped[Json | None]
    retry_of: Mapped[str | None]
    """The id of the failed job that this one repeats."""
    events_on: Mapped[str | None]
    """The control host whose engine ran the last attempt: the job's folder with its events is there."""
    error: Mapped[Json | None]  # {message, host, step, kind}
    resources: Mapped[list[JobResource]] = relationship(
        back_populates="job", cascade="all, delete-orphan", lazy="selectin"
    )


class JobResource(Base):
    """A resource that a job changes. Jobs of one resource run in the order of their numbers."""

    __tablename__ = "job_resources"
    __table_args__ = (Index("ix_job_resources_resource", "resource_type", "resource_id"),)

    job_number: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    resource_type: Mapped[str] = mapped_column(primary_key=True)
    resource_id: Mapped[str] = mapped_column(primary_key=True)
    job: Mapped[Job] = relationship(back_populates="resources")


class JobLock(Base):
    """A shared host object that a running job holds, such as `host:compute1:filter`."""

    __tablename__ = "job_locks"

    name: Mapped[str] = mapped_column(primary_key=True)
    job_number: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), index=True)
