"""What becomes of a job: done, failed, cancelled, put back, taken over. Each in one guarded write transaction."""

from __future__ import annotations

import datetime
import logging
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.db import postgres
from api.db.base import utcnow
from api.engine import actions
from api.engine.actions import Failure, Outcome
from api.engine.models import CANCELLED, DONE, FAILED, QUEUED, RUNNING, TRANSITIONS, Job, JobLock

ENGINE_SENTENCE = "The engine could not carry out the operation; the operator finds the reason in the engine's log."
STEPS_LIMIT = 200
"""Steps of a job that are kept: the last ones, over all attempts."""
RESULT_LIMIT_CHARACTERS = 1_000_000
PASSING_CODES = ("40001", "40P01", "55P03", "57P01", "57P03")
"""PostgreSQL's serialization_failure, deadlock_detected, lock_not_available, admin_shutdown, cannot_connect_now."""
log = logging.getLogger("stratiform.engine")


def is_passing(error: Exception) -> bool:
    """Whether the same transaction may well succeed when it is repeated: a deadlock, a busy or absent database."""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or code in PASSING_CODES or "database is locked" in str(error.orig)


def move(job: Job, state: str) -> None:
    """Changes a job's state; ValueError when the state machine has no such transition."""
    if state not in TRANSITIONS[job.state]:
        raise ValueError(f"job {job.id} cannot go from {job.state} to {state}")
    job.state = state


def tell(job: Job) -> None:
    """Logs where a job stands, in one line without a word of the tenant."""
    reason = f" {job.error['kind']}" if job.error else ""
    log.info(
        "job %s %s %s request=%s project=%s attempt=%d%s",
        job.id, job.action, job.state, job.request_id, job.project_id or "-", job.attempts, reason,
    )  # fmt: skip


def owned(session: Session, number: int, attempt: int, owner: str) -> Job | None:
    """The job, locked, when this very attempt is still the owner's; None when another engine took it over."""
    return session.scalars(
        select(Job)
        .where(Job.number == number, Job.state == RUNNING, Job.owner == owner, Job.attempts == attempt)
        .with_for_update()
    ).first()


def add_steps(job: Job, steps: list[dict[str, Any]]) -> None:
    """Appends an attempt's steps to the job's history."""
    job.steps = [*job.steps, *steps][-STEPS_LIMIT:]


def succeed(session: Session, job: Job, outcome: Outcome) -> None:
    """Ends a job well. An action that cannot store the outcome makes it a failure."""
    try:
        with session.begin_nested():
            actions.action(job.action).succeeded(session, job, outcome)
            move(job, DONE)
    except Exception as error:
        if is_passing(error):
            raise
        log.exception("job %s (%s): the result could not be stored", job.id, job.action)
        session.refresh(job)
        fail(session, job, Failure("engine", ENGINE_SENTENCE, results=outcome.results))
        return
    job.error = None
    _close(session, job, outcome.results)


def fail(session: Session, job: Job, failure: Failure) -> None:
    """Ends a job as failed or cancelled."""
    try:
        with session.begin_nested():
            actions.action(job.action).failed(session, job, failure)
    except Exception as error:
        if is_passing(error):
            raise
        log.exception("job %s (%s): the failure could not be stored with its resources", job.id, job.action)
        session.refresh(job)
    move(job, CANCELLED if failure.kind == "cancelled" else FAILED)
    job.error = as_error(failure)
    _close(session, job, failure.results)


def as_error(failure: Failure) -> dict[str, Any]:
    """A failure as the job's row keeps it."""
    return {"kind": failure.kind, "message": failure.message, "host": failure.host, "step": failure.step}


def _close(session: Session, job: Job, results: dict[str, dict[str, Any]]) -> None:
    job.finished_at = utcnow()
    job.owner = job.heartbeat_at = None
    job.result = {"results": results} if len(str(results)) <= RESULT_LIMIT_CHARACTERS else None
    release(session, job)
    tell(job)


def put_back(session: Session, job: Job, failure: Failure | None, not_before: datetime.datetime | None) -> None:
    """Queues a running job again; `failure` is why this attempt ended."""
    move(job, QUEUED)
    job.owner = job.heartbeat_at = None
    job.not_before = not_before
    job.error = as_error(failure) if failure else job.error
    release(session, job)
    tell(job)


def release(session: Session, job: Job) -> None:
    """Frees the job's locks, and its place on its hosts."""
    postgres.notify(session)
    session.execute(delete(JobLock).where(JobLock.job_number == job.number))


def beat(session: Session, owner: str) -> set[int]:
    """Says that this engine lives and works; the numbers of the jobs that are (still) its own."""
    session.execute(update(Job).where(Job.state == RUNNING, Job.owner == owner).values(heartbeat_at=utcnow()))
    return set(session.scalars(select(Job.number).where(Job.state == RUNNING, Job.owner == owner)))


def to_cancel(session: Session, owner: str) -> list[int]:
    """Running jobs of this engine that somebody wants to end."""
    return list(
        session.scalars(
            select(Job.number).where(Job.state == RUNNING, Job.owner == owner, Job.cancel_requested.is_(True))
        )
    )


def running_elsewhere(session: Session, owner: str) -> list[tuple[int, str, str, datetime.datetime]]:
    """Running jobs that are not this engine's: number, id, owner, last heartbeat."""
    rows = session.execute(
        select(Job.number, Job.id, Job.owner, Job.heartbeat_at).where(Job.state == RUNNING, Job.owner != owner)
    )
    return [(number, id_, owner_, beat_) for number, id_, owner_, beat_ in rows if owner_ and beat_]


def take_from(session: Session, number: int, owner: str, heartbeat_at: datetime.datetime) -> None:
    """Puts back a job of an engine that is gone, unless that engine (or another) has moved since."""
    job = session.scalars(
        select(Job)
        .where(Job.number == number, Job.state == RUNNING, Job.owner == owner, Job.heartbeat_at == heartbeat_at)
        .with_for_update(skip_locked=True)
    ).first()
    if job is not None:
        log.warning("job %s: its engine %s is gone, it will be run again", job.id, owner)
        put_back(session, job, None, None)
