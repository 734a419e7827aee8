"""Importing: what can be done here (/v2/info), the imports themselves, their tasks, and the stores."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute

from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest, Forbidden
from api.http.paging import fetch, next_link, parse_page
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.image import importing, listing, store, tasks
from api.image.models import UPLOADING, Image, ImageTask
from api.image.routes.base import blueprint
from api.image.routes.data import STORE_HEADER
from api.image.schemas import IMPORT, TASK_CREATE

_SORT: dict[str, InstrumentedAttribute[Any]] = {
    "created_at": ImageTask.created_at, "updated_at": ImageTask.updated_at, "id": ImageTask.id,
    "status": ImageTask.status, "type": ImageTask.type, "expires_at": ImageTask.expires_at,
}  # fmt: skip


@blueprint.get("/v2/info/import")
def import_info() -> Response:
    """The ways to import."""
    methods = {"description": "Import methods available.", "type": "array", "value": importing.methods()}
    return json_response({"import-methods": methods})


@blueprint.get("/v2/info/stores")
def stores_info() -> Response:
    """The stores."""
    return json_response({"stores": [_store(name) for name in store.directories()]})


@blueprint.get("/v2/info/stores/detail")
def stores_detail() -> Response:
    """The stores as an administrator may know them."""
    policy.authorize(context(), "stores_info_detail")
    shown = [
        _store(name) | {"type": "file", "weight": 0, "properties": {"data_dir": str(path)}}
        for name, path in store.directories().items()
    ]
    return json_response({"stores": shown})


def _store(name: str) -> dict[str, Any]:
    return {"id": name} | ({"default": "true"} if name == store.default_store() else {})


@blueprint.get("/v2/info/usage")
def usage() -> Response:
    """What the project has; nothing of it is limited (-1)."""
    mine = Image.owner == context().project_id
    count, size, staged, uploading = read_session().execute(select(
        func.count(), func.coalesce(func.sum(Image.size), 0), func.coalesce(func.sum(Image.staged_size), 0),
        func.count().filter(Image.status == UPLOADING)).where(mine)).one()  # fmt: skip
    mib = 1 << 20
    used = {
        "image_size_total": -(-int(size or 0) // mib), "image_stage_total": -(-int(staged or 0) // mib),
        "image_count_total": count, "image_count_uploading": uploading,
    }  # fmt: skip
    return json_response({"usage": {name: {"limit": -1, "usage": int(value or 0)} for name, value in used.items()}})


@blueprint.post("/v2/images/<image_id>/import")
def import_image(image_id: str) -> Response:
    """Begins an import. Goes to the streams worker, whose threads carry it out."""
    body = json_body(IMPORT)
    importing.start(context(), image_id, body, request.headers.get(STORE_HEADER))
    return empty(202)


@blueprint.get("/v2/images/<image_id>/tasks")
def image_tasks(image_id: str) -> Response:
    found = tasks.of_image(read_session(), context(), image_id)
    return json_response({"tasks": [tasks.detail(task) for task in found]})


@blueprint.delete("/v2/stores/<store_id>/<image_id>")
def delete_from_store(store_id: str, image_id: str) -> Response:
    importing.remove_from_store(write_session(), context(), store_id, image_id)
    return empty()


@blueprint.get("/v2/tasks")
def list_tasks() -> Response:
    """All imports, for administrators."""
    policy.authorize(context(), "tasks_api_access")
    policy.authorize(context(), "get_tasks")
    page = parse_page(_SORT, (("created_at", True),), maximum=listing.MAX_LIMIT)
    query = select(ImageTask)
    for name, column in (("type", ImageTask.type), ("status", ImageTask.status)):
        if name in request.args:
            query = query.where(column == request.args[name])
    marker = read_session().get(ImageTask, page.marker) if page.marker else None
    if page.marker and marker is None:
        raise BadRequest(f"Marker {page.marker} could not be found. Begin again without a marker.")
    found, more = fetch(read_session(), query, page, _SORT, ImageTask.id, marker_row=marker)
    body: dict[str, Any] = {
        "tasks": [tasks.view(task) for task in found], "first": "/v2/tasks", "schema": "/v2/schemas/tasks",
    }  # fmt: skip
    if more and found:
        body["next"] = next_link("/v2/tasks", found[-1].id, page.limit, absolute=False)
    return json_response(body)


@blueprint.post("/v2/tasks")
def create_task() -> Response:
    """The old way to import: makes an image of a URL's bytes."""
    policy.authorize(context(), "tasks_api_access")
    policy.authorize(context(), "add_task")
    task = importing.start_task(context(), json_body(TASK_CREATE))
    return json_response(tasks.detail(task), 201, {"Location": f"/v2/tasks/{task.id}"})


@blueprint.get("/v2/tasks/<task_id>")
def show_task(task_id: str) -> Response:
    return json_response(tasks.detail(tasks.get(read_session(), context(), task_id)))


@blueprint.delete("/v2/tasks/<task_id>")
def delete_task(task_id: str) -> Response:
    """Tasks are forgotten by themselves, as in Glance."""
    tasks.get(read_session(), context(), task_id)
    raise Forbidden("Tasks cannot be deleted; they are forgotten two days after their end.")
