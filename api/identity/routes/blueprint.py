"""The blueprint and the version documents."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from api.config import settings
from api.http.current import public
from api.http.responses import json_response
from api.identity.links import PATH

blueprint = Blueprint("identity", __name__)
VERSION = "v3.14"


def _version() -> dict[str, Any]:
    return {
        "id": VERSION, "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{settings().url()}{PATH}/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }  # fmt: skip


@blueprint.get("/")
@public
def versions() -> Response:
    return json_response({"versions": {"values": [_version()]}}, 300, {"Location": f"{settings().url()}{PATH}/"})


@blueprint.get("/v3")
@public
def version() -> Response:
    return json_response({"version": _version()})
