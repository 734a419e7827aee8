"""How an attempt ends for its job: done, failed, or to be tried again."""

from __future__ import annotations

import datetime
import logging

from api.db.base import utcnow
from api.db.session import Database
from api.engine import jobs, launch
from api.engine.actions import Failure, Outcome
from api.engine.metrics import METRICS
from api.engine.models import DONE, QUEUED, Job
from api.engine.queue import Claim
from api.engine.result import Ended
from api.engine.runner import REQUEST, RESULTS

LONGEST_PAUSE_S = 30
log = logging.getLogger("stratiform.engine")


def settle(db: Database, owner: str, claim: Claim, hosts: list[str], ended: Ended, stopped: Failure | None) -> None:
    """Stores what came of an attempt, unless another engine owns the job by now.

    `stopped` is why the engine itself ended the run. A run that ended well in spite of that is done.
    """
    with db.write() as session:
        job = jobs.owned(session, claim.number, claim.attempt, owner)
        if job is None:
            log.error("job %s is not this engine's any more; what its run did here is not stored", claim.id)
            return
        job.hosts = list(hosts)
        jobs.add_steps(job, ended.steps)
        failure = ended.failure
        if stopped is not None and (ended.interrupted or failure is not None):
            failure = Failure(stopped.kind, stopped.message, _last_host(ended), _last_step(ended), ended.results)
        elif ended.interrupted:
            failure = Failure("engine", "The run was interrupted; it is repeated.", results=ended.results)
        if failure is None:
            jobs.succeed(session, job, Outcome(ended.results))
        elif (again := _again_at(job, failure, ended, stopped)) is not None:
            jobs.put_back(session, job, failure, again)
        elif ended.interrupted and stopped is None:
            sentence = "The run was interrupted each time it was tried, until the operation's time was over. Try again."
            jobs.fail(session, job, Failure("engine", sentence, results=ended.results))
        else:
            jobs.fail(session, job, failure)
        done = job.state == DONE
    if job.state == QUEUED:
        METRICS.put_back(job.action, failure.kind if failure else "engine")
    else:
        METRICS.job_ended(job.action, job.state)
    folder = launch.jobs_dir() / claim.id
    (folder / RESULTS).unlink(missing_ok=True)
    if done:
        (folder / REQUEST).unlink(missing_ok=True)  # it may hold secrets, and nobody needs it any more


def _again_at(
    job: Job, failure: Failure, ended: Ended, stopped: Failure | None
) -> datetime.datetime | None:
    """When to try again, or None: only what says nothing about the operation itself is repeated."""
    if stopped is not None or not (ended.interrupted or failure.kind == "unreachable"):
        return None
    pause = 0 if ended.interrupted and job.attempts <= 2 else min(LONGEST_PAUSE_S, 2**job.attempts)
    again = utcnow() + datetime.timedelta(seconds=pause)
    return again if again < job.deadline_at else None


def _last_step(ended: Ended) -> str | None:
    return ended.steps[-1]["name"] if ended.steps else None


def _last_host(ended: Ended) -> str | None:
    return ended.steps[-1]["host"] if ended.steps else None
