"""An operation's events: live in the streams process (api/operations/streams.py), elsewhere what there is so far."""

from __future__ import annotations

from flask import Response, request

from api.engine.models import UNFINISHED
from api.http.current import context, read_session
from api.http.responses import empty
from api.operations import eventfiles, service, views
from api.operations.following import Followed, Registry
from api.operations.routes.base import V1, blueprint, veil

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


@blueprint.get(f"{V1}/<operation_id>/events")
def events(operation_id: str) -> Response:
    """Server-sent events from where Last-Event-ID says; 204 for who saw the last one, and stays away then."""
    session = read_session()
    job = service.get(session, context(), operation_id, "operations:events")
    offset, at_end = eventfiles.parse_id(request.headers.get("Last-Event-ID"))
    if at_end and job.state not in UNFINISHED:
        return empty(204)
    followed = Followed(job.id, context().project_id or "", offset, veil(session, job))
    registry: Registry | None = request.environ.get("stratiform.streams")
    if registry is not None:
        registry.admit(followed)
        request.environ["stratiform.followed"] = followed
        return Response(b"", headers=HEADERS, mimetype="text/event-stream")
    sent, _ = eventfiles.read(job.id, offset, followed.veil)
    body = eventfiles.message("operation", views.operation(job, followed.veil)) + sent
    return Response(body, headers=HEADERS, mimetype="text/event-stream")
