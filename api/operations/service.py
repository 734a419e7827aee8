"""What the operations API means: jobs as their owners and the operators may see, cancel and repeat them."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import Select, String, cast, exists, or_, select
from sqlalchemy.orm import Session

from api.db.events import subscribe as hear
from api.engine import actions
from api.engine.models import CANCELLED, FAILED, UNFINISHED, Job, JobResource
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, Forbidden, NotFound
from api.operations import purging

_TRUE = ("true", "True", "1")


def target(job: Job) -> dict[str, Any]:
    """What policy may know of an operation."""
    return {"project_id": job.project_id, "tenant_id": job.project_id, "user_id": job.user_id}


def is_operator(context: Context) -> bool:
    """Whether the caller sees hosts, engines and unabridged messages."""
    return policy.allowed(context, "operations:show:hosts")


def get(session: Session, context: Context, operation_id: str, rule: str) -> Job:
    """The operation that the caller may do `rule` to; 404 when it may not even see it."""
    job = session.scalar(select(Job).where(Job.id == operation_id))
    if job is None or not policy.allowed(context, "operations:show", target(job)):
        raise NotFound(f"There is no operation {operation_id}.")
    policy.authorize(context, rule, target(job))
    return job


def find(context: Context, wanted: dict[str, str]) -> Select[Job]:
    """The query of the operations that the caller may list and asks for. `wanted` has passed schemas.LIST."""
    query = select(Job)
    if wanted.get("all_projects") in _TRUE or "project_id" in wanted:
        policy.authorize(context, "operations:list:all_projects")
        if "project_id" in wanted:
            query = query.where(Job.project_id == wanted["project_id"])
    else:
        policy.authorize(context, "operations:list")
        query = query.where(Job.project_id == context.project_id)
    for key, column in (("state", Job.state), ("action", Job.action), ("user_id", Job.user_id)):
        if key in wanted:
            query = query.where(column == wanted[key])
    if "request_id" in wanted:
        id_ = wanted["request_id"]
        query = query.where(or_(Job.request_id == id_, Job.global_request_id == id_))
    if "resource_type" in wanted or "resource_id" in wanted:
        query = query.where(_touches(wanted.get("resource_type"), wanted.get("resource_id")))
    if "host" in wanted:
        if not is_operator(context):
            raise Forbidden("Only operators may ask by host.")
        query = query.where(cast(Job.hosts, String).contains(f'"{wanted["host"]}"', autoescape=True))
    if "changes_since" in wanted:
        since = _time(wanted["changes_since"])
        query = query.where(or_(Job.finished_at >= since, Job.started_at >= since, Job.created_at >= since))
    return query


def _touches(type_: str | None, id_: str | None) -> Any:
    conditions = [JobResource.job_number == Job.number]
    if type_ is not None:
        conditions.append(JobResource.resource_type == type_)
    if id_ is not None:
        conditions.append(JobResource.resource_id == id_)
    return exists().where(*conditions)


def _time(text: str) -> datetime.datetime:
    try:
        time = datetime.datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"Invalid input for query parameter changes_since: {text!r} is no time.") from None


def cancel(session: Session, context: Context, operation_id: str) -> Job:
    """Asks for an operation's end; in a write transaction. 409 when it has ended."""
    job = get(session, context, operation_id, "operations:cancel")
    if not actions.cancel(session, job.id):
        raise Conflict(f"Operation {job.id} has ended ({job.state}); there is nothing to cancel.")
    session.refresh(job)
    return job


def retry(session: Session, context: Context, operation_id: str) -> Job:
    """Stores a new operation that does what a failed one should have done; in a write transaction.

    It is planned when it runs, so it makes what is desired by then.
    """
    former = get(session, context, operation_id, "operations:retry")
    if former.state not in (FAILED, CANCELLED):
        raise Conflict(f"Operation {former.id} is {former.state}; only failed and cancelled ones can be retried.")
    action = actions.action(former.action)
    if action.interactive:
        raise Conflict("This was a query of a host; ask again instead.")
    resources = [(row.resource_type, row.resource_id) for row in former.resources]
    if (later := _later(session, former, resources)) is not None:
        raise Conflict(f"Operation {later} came after this one and did the same; look at that one.")
    job = actions.enqueue(
        session, former.action, resources=resources, args=dict(former.args), request_id=context.request_id,
        global_request_id=context.global_request_id, user_id=context.user_id, project_id=former.project_id,
    )  # fmt: skip
    job.retry_of = former.id
    if (refusal := action.retried(session, former, job)) is not None:
        raise Conflict(refusal)
    return job


def _later(session: Session, former: Job, resources: list[tuple[str, str]]) -> str | None:
    """A younger operation of the same action on the same resources, that is under way or went well."""
    query = select(Job).where(Job.action == former.action, Job.number > former.number)
    if resources:
        query = query.where(_touches(*resources[0]))
    for job in session.scalars(query.order_by(Job.number.desc()).limit(20)):
        same = sorted((row.resource_type, row.resource_id) for row in job.resources) == sorted(resources)
        if same and job.args == former.args and (job.state in UNFINISHED or job.retry_of == former.id):
            return job.id
    return None


def subscribe() -> None:
    """Listens to identity."""
    hear("project.before_delete", purging.forget)
