"""The blueprint, the version documents, and links."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from api.config import settings
from api.http.current import public
from api.http.responses import json_response

blueprint = Blueprint("identity", __name__)
PATH = "/identity/v3"
VERSION = "v3.14"


def link(*parts: str) -> str:
    """The public URL of something below /identity/v3."""
    return "/".join((settings().url() + PATH, *parts))


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
