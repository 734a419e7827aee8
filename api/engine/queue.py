"""Which jobs may run: order, resources, locks. All of it in the database, so that several engines agree.

Jobs of one resource run in the order of their numbers; a lock is held by one running job. On PostgreSQL rows are taken
by FOR UPDATE SKIP LOCKED; on SQLite a write transaction is alone anyway.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.engine import actions, jobs
from api.engine.actions import Failure
from api.engine.metrics import METRICS
from api.engine.models import QUEUED, RUNNING, UNFINISHED, Job, JobLock, JobResource

SCAN_LIMIT = 2000
"""At most this many unfinished jobs are looked at; those behind them wait until some of these have ended."""
log = logging.getLogger("stratiform.engine")


@dataclass(frozen=True)
class Waiting:
    """A queued job that nothing but its locks keeps from running."""

    number: int
    interactive: bool


@dataclass
class Queue:
    """What a look at the table found."""

    ready: list[Waiting] = field(default_factory=list)
    overdue: list[int] = field(default_factory=list)
    """Queued jobs that are past their deadline, or are to be cancelled."""
    next_at: datetime.datetime | None = None
    """When a queued job becomes due or overdue, at the earliest."""


@dataclass(frozen=True)
class Claim:
    """A job that this engine owns, for one attempt."""

    number: int
    id: str
    request_id: str
    action: str
    attempt: int
    deadline_at: datetime.datetime
    interactive: bool


def look(session: Session, now: datetime.datetime) -> Queue:
    """Reads what is queued. Interactive jobs (someone waits for the answer) come first, then the lowest numbers."""
    rows = session.execute(
        select(Job.number, Job.state, Job.action, Job.not_before, Job.deadline_at, Job.cancel_requested)
        .where(Job.state.in_(UNFINISHED))
        .order_by(Job.number)
        .limit(SCAN_LIMIT)
    ).all()
    if not any(row.state == QUEUED for row in rows):
        return Queue()
    resources: dict[int, list[tuple[str, str]]] = {}
    for number, type_, id_ in session.execute(
        select(JobResource.job_number, JobResource.resource_type, JobResource.resource_id)
        .join(Job, Job.number == JobResource.job_number)
        .where(Job.state.in_(UNFINISHED), Job.number <= rows[-1].number)
    ):
        resources.setdefault(number, []).append((type_, id_))
    queue = Queue()
    taken: set[tuple[str, str]] = set()
    times: list[datetime.datetime] = []
    for row in rows:
        own = resources.get(row.number, ())
        blocked = not taken.isdisjoint(own)
        taken.update(own)
        if row.state != QUEUED:
            continue
        times.append(row.deadline_at)
        if row.cancel_requested or row.deadline_at <= now:
            queue.overdue.append(row.number)
        elif row.not_before and row.not_before > now:
            times.append(row.not_before)
        elif not blocked:
            queue.ready.append(Waiting(row.number, _interactive(row.action)))
    queue.ready.sort(key=lambda waiting: (not waiting.interactive, waiting.number))
    queue.next_at = min((time for time in times if time > now), default=None)
    return queue


def _interactive(name: str) -> bool:
    try:
        return actions.action(name).interactive
    except KeyError:
        return False


class LockMemory:
    """Which locks waiting jobs asked for last time: spares asking each waiting action anew at every look.

    Only ever used to pass over a job whose locks are held; a claim asks again.
    """

    def __init__(self) -> None:
        self._wanted: dict[int, frozenset[str]] = {}

    def passable(self, ready: list[Waiting], session: Session) -> tuple[list[Waiting], set[str]]:
        """Those of `ready` that no known lock keeps waiting, and the locks that the others wait for."""
        self._wanted = {item.number: self._wanted[item.number] for item in ready if item.number in self._wanted}
        if not self._wanted:
            return ready, set()
        held = set(session.scalars(select(JobLock.name)))
        passed: list[Waiting] = []
        waited_for: set[str] = set()
        for item in ready:
            wanted = self._wanted.get(item.number, frozenset())
            if held.isdisjoint(wanted) and waited_for.isdisjoint(wanted):
                passed.append(item)
            else:
                waited_for |= wanted
        return passed, waited_for

    def remember(self, number: int, wanted: Iterable[str]) -> None:
        """Notes what a job that had to wait wants."""
        self._wanted[number] = frozenset(wanted)


def claim(
    session: Session,
    ready: Iterable[Waiting],
    waited_for: set[str],
    *,
    owner: str,
    slots: int,
    interactive_slots: int,
    at_most: int,
    memory: LockMemory,
) -> list[Claim]:
    """Takes as many jobs as there are slots, with their locks; in a write transaction.

    Locks are taken in sorted order within one job only: where transactions run side by side (PostgreSQL), claim one
    at a time, else two engines could wait for each other. A job behind another that waits for the same lock waits
    too, so that locks are given in order. One whose action cannot even begin is failed.
    """
    claims: list[Claim] = []
    now = utcnow()
    for waiting in ready:
        if len(claims) >= at_most:
            break
        if len(claims) >= slots + (interactive_slots if waiting.interactive else 0):
            continue
        job = session.scalars(
            select(Job)
            .where(Job.number == waiting.number, Job.state == QUEUED, Job.cancel_requested.is_(False))
            .with_for_update(skip_locked=True)
        ).first()
        if job is None:
            continue
        try:
            with session.begin_nested():
                wanted = sorted(set(actions.action(job.action).locks(session, job)))
                if not _take(session, job.number, wanted, waited_for):
                    waited_for.update(wanted)
                    memory.remember(job.number, wanted)
                    continue
                jobs.move(job, RUNNING)
                job.owner, job.heartbeat_at, job.not_before = owner, now, None
                job.events_on, job.hosts = owner.partition("/")[0], []
                job.attempts += 1
                job.started_at = job.started_at or now
                actions.action(job.action).started(session, job)
        except Exception as error:
            if jobs.is_passing(error):
                raise
            log.exception("job %s (%s) cannot begin", job.id, job.action)
            session.refresh(job)
            jobs.fail(session, job, Failure("engine", jobs.ENGINE_SENTENCE))
            continue
        claims.append(
            Claim(
                job.number, job.id, job.request_id, job.action, job.attempts, job.deadline_at, waiting.interactive
            )
        )
        if job.attempts == 1:
            METRICS.claimed(job.action, (now - job.created_at).total_seconds())
        jobs.tell(job)
    return claims


def _take(session: Session, number: int, wanted: list[str], waited_for: set[str]) -> bool:
    """Takes all the locks, in sorted order, or none."""
    if not wanted:
        return True
    if not waited_for.isdisjoint(wanted):
        return False
    if session.scalars(select(JobLock.name).where(JobLock.name.in_(wanted)).limit(1)).first() is not None:
        return False
    try:
        with session.begin_nested():
            for name in wanted:
                session.execute(insert(JobLock).values(name=name, job_number=number))
    except IntegrityError:
        return False  # another engine was faster
    return True


def end_overdue(session: Session, numbers: Iterable[int]) -> None:
    """Ends queued jobs that must not run any more; in a write transaction."""
    now = utcnow()
    for number in numbers:
        job = session.scalars(
            select(Job)
            .where(Job.number == number, Job.state == QUEUED)
            .where(or_(Job.cancel_requested.is_(True), Job.deadline_at <= now))
            .with_for_update(skip_locked=True)
        ).first()
        if job is None:
            continue
        if job.cancel_requested:
            failure = Failure("cancelled", "The operation was cancelled before it began.")
        elif job.error and job.attempts:
            # It was tried and put off: the reason of the last attempt says more than the clock.
            failure = Failure(**job.error)
        else:
            failure = Failure(
                "timeout", "The operation had to wait for its turn until its deadline had passed. Try it again."
            )
        jobs.fail(session, job, failure)
        METRICS.job_ended(job.action, job.state)
