"""What was done to a server: actions as they were asked for or observed, with the playbook's own steps as events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute.models import InstanceAction, Server
from api.db.base import new_uuid, utcnow
from api.engine.actions import enqueue
from api.engine.models import Job
from api.http.context import Context


def begin(session: Session, context: Context, server: Server, action: str, job: str | None = None,
          args: dict[str, Any] | None = None) -> InstanceAction:  # fmt: skip
    """Notes an action of the caller's, and enqueues the job `job` that carries it out."""
    queued = enqueue(
        session, job, resources=[("server", server.id)], request_id=context.request_id,
        global_request_id=context.global_request_id, user_id=context.user_id, project_id=server.project_id, args=args,
    ) if job else None  # fmt: skip
    noted = InstanceAction(
        server_id=server.id, request_id=context.request_id, action=action, user_id=context.user_id,
        project_id=server.project_id, job_id=queued.id if queued else None, host=server.host,
    )  # fmt: skip
    session.add(noted)
    return noted


def observed(session: Session, server: Server, action: str, message: str, job: str | None = None) -> None:
    """Notes something that nobody asked for; the request id is of our making."""
    request_id = f"req-{new_uuid()}"
    queued = enqueue(
        session, job, resources=[("server", server.id)], request_id=request_id, project_id=server.project_id
    ) if job else None  # fmt: skip
    session.add(
        InstanceAction(
            server_id=server.id, request_id=request_id, action=action, project_id=server.project_id, user_id=None,
            job_id=queued.id if queued else None, host=server.host, message=message,
        )  # fmt: skip
    )


def follow(session: Session, job: Job, server: Server, action: str, name: str) -> None:
    """Notes an action that follows from a job which has just ended, in the same request, and enqueues its job."""
    queued = enqueue(
        session, name, resources=[("server", server.id)], request_id=job.request_id, user_id=job.user_id,
        global_request_id=job.global_request_id, project_id=server.project_id,
    )  # fmt: skip
    session.add(
        InstanceAction(
            server_id=server.id, request_id=job.request_id, action=action, user_id=job.user_id,
            project_id=server.project_id, job_id=queued.id, host=server.host,
        )  # fmt: skip
    )


def finish(session: Session, job: Job, message: str | None = None) -> None:
    """The job of an action has ended; `message` when it failed."""
    noted = session.scalar(select(InstanceAction).where(InstanceAction.job_id == job.id))
    if noted is not None:
        noted.updated_at = utcnow()
        noted.message = message or noted.message


def actions_of(session: Session, server_id: str) -> list[InstanceAction]:
    """A server's actions, newest first."""
    query = select(InstanceAction).where(InstanceAction.server_id == server_id)
    return list(session.scalars(query.order_by(InstanceAction.number.desc())))


def find(session: Session, server_id: str, request_id: str) -> InstanceAction | None:
    """The action of a request on a server."""
    query = select(InstanceAction).where(InstanceAction.server_id == server_id)
    return session.scalar(query.where(InstanceAction.request_id == request_id).order_by(InstanceAction.number))


def steps_of(session: Session, noted: InstanceAction) -> list[dict[str, Any]]:
    """The steps of the action's job: `{name, host, started_at, finished_at, result, message}`."""
    if noted.job_id is None:
        return []
    steps: Iterable[dict[str, Any]] | None = session.scalar(select(Job.steps).where(Job.id == noted.job_id))
    return list(steps or [])
