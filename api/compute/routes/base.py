"""The blueprint, and the few things all handlers need."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from api.compute import lifecycle
from api.compute.models import Server
from api.http import policy
from api.http.current import context, read_session
from api.http.faults import compute_fault
from api.http.microversions import Microversions
from api.http.responses import json_response
from api.http.wiring import Service

MICROVERSIONS = Microversions("compute", (2, 1), (2, 96), legacy_header="X-OpenStack-Nova-API-Version")
blueprint = Blueprint("compute", __name__)
SERVICE = Service("compute", "compute", blueprint, compute_fault, MICROVERSIONS)
V2 = "/v2.1"


def target(server: Server) -> dict[str, Any]:
    """What policy may know of a server."""
    return {"project_id": server.project_id, "tenant_id": server.project_id, "user_id": server.user_id}


def readable(server_id: str, rule: str, *, deleted: bool = False) -> Server:
    """A server that the caller may read by `rule`."""
    server = lifecycle.get(read_session(), context(), server_id, deleted=deleted)
    policy.authorize(context(), rule, target(server))
    return server


def answer(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return json_response(body, status, headers)
