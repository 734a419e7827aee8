"""Operations: list, show, output, cancel, retry."""

from __future__ import annotations

from flask import Response, request
from sqlalchemy.orm import Session

from api.db.hosts import list_hosts
from api.engine.models import Job
from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest, NotFound
from api.http.paging import fetch, next_link, parse_page
from api.http.responses import json_response
from api.operations import eventfiles, schemas, service, views
from api.operations.routes.base import V1, blueprint, veil

PAGE_LIMIT = 500
_COLUMNS = {"created_at": Job.created_at, "action": Job.action, "state": Job.state, "number": Job.number}


@blueprint.get(V1)
def list_operations() -> Response:
    """A page of operations, newest first, without their steps."""
    wanted = schemas.LIST.check(request.args.to_dict())
    page = parse_page(_COLUMNS, [("number", True)], maximum=PAGE_LIMIT)
    session = read_session()
    query = service.find(context(), wanted)
    marker = session.scalar(query.where(Job.id == page.marker)) if page.marker else None
    if page.marker and marker is None:
        raise BadRequest(f"There is no operation {page.marker} to go on from.")
    rows, more = fetch(session, query, page, _COLUMNS, Job.number, marker_row=marker)
    links = [{"rel": "next", "href": next_link(views.BASE, rows[-1].id, page.limit)}] if more and rows else []
    return json_response({"operations": _many(session, rows), "operations_links": links})


def _many(session: Session, rows: list[Job]) -> list[dict[str, object]]:
    if service.is_operator(context()):
        return [views.operation(row, None, steps=False) for row in rows]
    hosts = [host.name for host in list_hosts(session)]
    return [views.operation(row, views.veil_of(row, hosts), steps=False) for row in rows]


def _answer(session: Session, job: Job, status: int = 200) -> Response:
    body = {"operation": views.operation(job, veil(session, job))}
    return json_response(body, status, {"Location": f"{views.BASE}/{job.id}"} if status == 202 else None)


@blueprint.get(f"{V1}/<operation_id>")
def show(operation_id: str) -> Response:
    """One operation with its steps."""
    session = read_session()
    return _answer(session, service.get(session, context(), operation_id, "operations:show"))


@blueprint.get(f"{V1}/<operation_id>/output")
def output(operation_id: str) -> Response:
    """The end of what the playbook printed, for operators."""
    policy.authorize(context(), "operations:output")
    job = service.get(read_session(), context(), operation_id, "operations:output")
    try:
        text = eventfiles.output_of(job.id).read_bytes()
    except FileNotFoundError:
        where = f" It ran on {job.events_on}." if job.events_on else ""
        raise NotFound(f"No output of operation {job.id} is kept here (any more).{where}") from None
    return Response(text, mimetype="text/plain")


@blueprint.post(f"{V1}/<operation_id>/cancel")
def cancel(operation_id: str) -> Response:
    """Ends an operation."""
    session = write_session()
    return _answer(session, service.cancel(session, context(), operation_id), 202)


@blueprint.post(f"{V1}/<operation_id>/retry")
def retry(operation_id: str) -> Response:
    """Repeats a failed operation, as a new one."""
    session = write_session()
    return _answer(session, service.retry(session, context(), operation_id), 202)
