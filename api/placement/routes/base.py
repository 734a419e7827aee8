"""The blueprint, and what all of placement's handlers need."""

from __future__ import annotations

import datetime
import re
from typing import Any

from flask import Blueprint, Response, g

from api.config import settings
from api.db.base import utcnow
from api.http import policy
from api.http.current import context, public
from api.http.faults import BadRequest, Fault, placement_fault
from api.http.microversions import Microversions, at_least
from api.http.responses import empty, json_response
from api.http.wiring import Service
from api.placement.faults import UNDEFINED

MICROVERSIONS = Microversions("placement", (1, 0), (1, 39))
blueprint = Blueprint("placement", __name__)
PREFIX = "/placement"
_UUID = re.compile(r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$")


def _render(fault: Fault, request_id: str) -> Any:
    """Placement's shape; a code from 1.23 on, the range of versions when the asked one is outside it."""
    body = placement_fault(fault, request_id)
    error = body["errors"][0]
    if "microversion" in g and at_least(1, 23):
        error["code"] = fault.kind if fault.kind.startswith("placement.") else UNDEFINED
    if fault.status == 406:
        error |= {"min_version": "1.0", "max_version": "1.39"}
    return body


SERVICE = Service("placement", "placement", blueprint, _render, MICROVERSIONS)


@blueprint.get("/")
@public
def root() -> Response:
    """The version document (API reference, "API Versions")."""
    version = {"id": "v1.0", "max_version": "1.39", "min_version": "1.0", "status": "CURRENT",
               "links": [{"rel": "self", "href": ""}]}  # fmt: skip
    return json_response({"versions": [version]})


def allow(rule: str, target: dict[str, Any] | None = None) -> None:
    """Policy, by the rule's name without `placement:`."""
    policy.authorize(context(), f"placement:{rule}", target)


def _fresh(modified: datetime.datetime | None) -> dict[str, str]:
    """The headers that answers have from 1.15 on."""
    if not at_least(1, 15):
        return {}
    when = modified or utcnow()
    return {"Cache-Control": "no-cache", "Last-Modified": when.strftime("%a, %d %b %Y %H:%M:%S GMT")}


def answer(
    body: Any, modified: datetime.datetime | None = None, status: int = 200, location: str | None = None
) -> Response:
    """A JSON answer. `modified`: when what it shows was last changed; `location`: a path below /placement."""
    headers = _fresh(modified) | ({"Location": f"{settings().url()}{PREFIX}{location}"} if location else {})
    return json_response(body, status, headers)


def nothing(modified: datetime.datetime | None = None, status: int = 204, location: str | None = None) -> Response:
    """An answer without a body, but with the headers of one that tells of something."""
    headers = _fresh(modified) | ({"Location": f"{settings().url()}{PREFIX}{location}"} if location else {})
    return empty(status, headers)


def consumer(value: str) -> str:
    """A consumer's id, in its dashed form; 400 when it is none."""
    if not _UUID.match(value):
        raise BadRequest(f"Malformed consumer_uuid: {value[:100]}")
    plain = value.replace("-", "").lower()
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
