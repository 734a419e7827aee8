"""Version documents (API guide, "Versions")."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.compute.routes.base import MICROVERSIONS, V2, answer, blueprint
from api.compute.views import base_url
from api.http.current import public
from api.http.faults import NotFound
from api.http.microversions import text

_MEDIA = [{"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}]


def _entry() -> dict[str, Any]:
    return {
        "id": "v2.1", "status": "CURRENT", "version": text(MICROVERSIONS.maximum),
        "min_version": text(MICROVERSIONS.minimum), "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base_url()}/v2.1/"}],
    }  # fmt: skip


@blueprint.get("/")
@public
def list_versions() -> Response:
    return answer({"versions": [_entry()]})


@blueprint.get(f"{V2}/")
@public
def show_version() -> Response:
    return answer({"version": _entry() | {"media-types": _MEDIA}})


@blueprint.get(f"{V2}/versions/<id_>")
@public
def show_version_by_id(id_: str) -> Response:
    if id_ != "v2.1":
        raise NotFound("The resource could not be found.")
    return show_version()
