"""The blueprint, its version documents, and the caller's view."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from api.config import settings
from api.db.hosts import list_hosts
from api.engine.models import Job
from api.http.current import context, public
from api.http.responses import json_response
from api.operations import service, views
from api.operations.views import Veil

blueprint = Blueprint("operations", __name__)
V1 = "/v1/operations"


def _version() -> dict[str, Any]:
    href = f"{settings().url()}/operations/v1/"
    return {"id": "v1", "status": "CURRENT", "links": [{"rel": "self", "href": href}]}


@blueprint.get("/")
@public
def root() -> Response:
    """The versions."""
    return json_response({"versions": [_version()]})


@blueprint.get("/v1")
@public
def version() -> Response:
    """The version."""
    return json_response({"version": _version()})


def veil(session: Session, job: Job) -> Veil | None:
    """What hides the operation from the caller; nothing for operators."""
    if service.is_operator(context()):
        return None
    return views.veil_of(job, (host.name for host in list_hosts(session)))
