"""/v2/tasks and /v2/images/<id>/tasks: what became of imports."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http import policy
from api.http.context import Context
from api.http.faults import NotFound
from api.http.responses import iso_seconds
from api.image.models import ImageTask
from api.image.visibility import target, visible_image


def view(task: ImageTask) -> dict[str, Any]:
    """A task as lists show it."""
    return {
        "id": task.id, "type": task.type, "status": task.status, "owner": task.owner, "image_id": task.image_id,
        "request_id": task.request_id, "user_id": task.user_id, "created_at": iso_seconds(task.created_at),
        "updated_at": iso_seconds(task.updated_at), "expires_at": iso_seconds(task.expires_at),
        "self": f"/v2/tasks/{task.id}", "schema": "/v2/schemas/task",
    }  # fmt: skip


def detail(task: ImageTask) -> dict[str, Any]:
    """A task with what was asked for and what came of it."""
    return view(task) | {"input": task.input, "result": task.result, "message": task.message}


def of_image(session: Session, context: Context, image_id: str) -> list[ImageTask]:
    """An image's tasks, newest first, for who may see the image."""
    image = visible_image(session, context, image_id)
    policy.authorize(context, "get_image", target(context, image))
    query = select(ImageTask).where(ImageTask.image_id == image.id)
    if not context.is_admin:
        query = query.where(ImageTask.owner == context.project_id)
    return list(session.scalars(query.order_by(ImageTask.created_at.desc(), ImageTask.id)))


def get(session: Session, context: Context, task_id: str) -> ImageTask:
    """A task, for administrators; 404 when there is none."""
    policy.authorize(context, "tasks_api_access")
    policy.authorize(context, "get_task")
    task = session.get(ImageTask, task_id)
    if task is None:
        raise NotFound(f"Task with the given id {task_id} was not found")
    return task
