"""The blueprint, its version documents, schemas and what the service tells of itself."""

from __future__ import annotations

from flask import Blueprint, Response

from api.config import settings
from api.http.current import context, public
from api.http.faults import NotFound
from api.http.responses import json_response
from api.image import metadef_schemas
from api.image.schemas import DOCUMENTS

blueprint = Blueprint("image", __name__)
VERSIONS = (
    "2.16", "2.15", "2.13", "2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5", "2.4", "2.3", "2.2", "2.1",
    "2.0",
)  # fmt: skip
"""Newest first. 2.14 belongs to the cache API, which is not here, as in Glance."""


def _versions() -> dict[str, object]:
    href = f"{settings().url()}/image/v2/"
    return {
        "versions": [
            {"id": f"v{version}", "status": "SUPPORTED" if number else "CURRENT",
             "links": [{"rel": "self", "href": href}]}
            for number, version in enumerate(VERSIONS)
        ]
    }  # fmt: skip


@blueprint.get("/")
@public
def root() -> Response:
    """The versions, as a choice (API reference, "API versions")."""
    return json_response(_versions(), 300)


@blueprint.get("/versions")
@blueprint.get("/v2")
@public
def versions() -> Response:
    """The versions, asked for by name."""
    return json_response(_versions())


@blueprint.get("/v2/schemas/<path:name>")
def schema(name: str) -> Response:
    """A schema document; clients build their objects from it."""
    context()
    document = DOCUMENTS.get(name) or metadef_schemas.DOCUMENTS.get(name)
    if document is None:
        raise NotFound(f"There is no schema {name}.")
    return json_response(document)
