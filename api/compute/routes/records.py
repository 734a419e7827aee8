"""A server's metadata and tags: records without a job."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.compute import lifecycle, schemas, versions, views
from api.compute.models import Server
from api.compute.routes.base import V2, answer, blueprint, readable
from api.http.current import context, write_session
from api.http.faults import BadRequest, NotFound
from api.http.microversions import available
from api.http.responses import empty
from api.http.validation import json_body

METADATA = f"{V2}/servers/<server_id>/metadata"
TAGS = f"{V2}/servers/<server_id>/tags"


def _set(server_id: str, rule: str, change: dict[str, str], *, replace: bool = False) -> Server:
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, f"os_compute_api:server-metadata:{rule}")
    lifecycle.set_metadata(session, context(), server, change if replace else server.meta | change)
    return server


@blueprint.get(METADATA)
def list_metadata(server_id: str) -> Response:
    return answer({"metadata": readable(server_id, "os_compute_api:server-metadata:index").meta})


@blueprint.post(METADATA)
def add_metadata(server_id: str) -> Response:
    change = json_body(schemas.SERVER_METADATA)["metadata"]
    return answer({"metadata": _set(server_id, "create", change).meta})


@blueprint.put(METADATA)
def replace_metadata(server_id: str) -> Response:
    change = json_body(schemas.SERVER_METADATA)["metadata"]
    return answer({"metadata": _set(server_id, "update_all", change, replace=True).meta})


@blueprint.get(f"{METADATA}/<key>")
def show_metadata_item(server_id: str, key: str) -> Response:
    meta = readable(server_id, "os_compute_api:server-metadata:show").meta
    if key not in meta:
        raise NotFound("Metadata item was not found")
    return answer({"meta": {key: meta[key]}})


@blueprint.put(f"{METADATA}/<key>")
def set_metadata_item(server_id: str, key: str) -> Response:
    change = json_body(schemas.SERVER_METADATA_ITEM)["meta"]
    if key not in change:
        raise BadRequest("Request body and URI mismatch")
    _set(server_id, "update", change)
    return answer({"meta": change})


@blueprint.delete(f"{METADATA}/<key>")
def delete_metadata_item(server_id: str, key: str) -> Response:
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, "os_compute_api:server-metadata:delete")
    if key not in server.meta:
        raise NotFound("Metadata item was not found")
    left = {name: value for name, value in server.meta.items() if name != key}
    lifecycle.set_metadata(session, context(), server, left)
    return empty(204)


def _changing(server_id: str, rule: str) -> Server:
    return lifecycle.for_change(write_session(), context(), server_id, f"os_compute_api:os-server-tags:{rule}")


def _tags(server: Server) -> list[str]:
    return [row.tag for row in server.tags]


@blueprint.get(TAGS)
@available(since=versions.TAGS)
def list_tags(server_id: str) -> Response:
    return answer({"tags": _tags(readable(server_id, "os_compute_api:os-server-tags:index"))})


@blueprint.put(TAGS)
@available(since=versions.TAGS)
def replace_tags(server_id: str) -> Response:
    tags = json_body(schemas.SERVER_TAGS)["tags"]
    server = _changing(server_id, "update_all")
    lifecycle.set_tags(context(), server, tags)
    return answer({"tags": _tags(server)})


@blueprint.delete(TAGS)
@available(since=versions.TAGS)
def delete_tags(server_id: str) -> Response:
    lifecycle.set_tags(context(), _changing(server_id, "delete_all"), [])
    return empty(204)


@blueprint.get(f"{TAGS}/<tag>")
@available(since=versions.TAGS)
def show_tag(server_id: str, tag: str) -> Response:
    if tag not in _tags(readable(server_id, "os_compute_api:os-server-tags:show")):
        raise NotFound(f"Server {server_id} has no tag '{tag}'")
    return empty(204)


@blueprint.put(f"{TAGS}/<tag>")
@available(since=versions.TAGS)
def add_tag(server_id: str, tag: str) -> Response:
    schemas.TAG_NAME.check(tag)
    server = _changing(server_id, "update")
    if tag in _tags(server):
        return empty(204)
    lifecycle.set_tags(context(), server, [*_tags(server), tag])
    location: dict[str, Any] = {"Location": f"{views.base_url()}{V2}/servers/{server_id}/tags/{tag}"}
    return empty(201, location)


@blueprint.delete(f"{TAGS}/<tag>")
@available(since=versions.TAGS)
def delete_tag(server_id: str, tag: str) -> Response:
    server = _changing(server_id, "delete")
    if tag not in _tags(server):
        raise NotFound(f"Server {server_id} has no tag '{tag}'")
    lifecycle.set_tags(context(), server, [name for name in _tags(server) if name != tag])
    return empty(204)
