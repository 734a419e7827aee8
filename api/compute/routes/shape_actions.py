"""Actions that make images of a server or give it another shape: createImage, rescue, rebuild, resize, shelve."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from api.compute import (
    action_schemas,
    create,
    imaging,
    rebuilding,
    rescuing,
    resizing,
    server_schemas,
    shelving,
    views,
)
from api.compute.models import Server
from api.compute.routes.base import V2, answer
from api.compute.routes.dispatch import server_action
from api.config import settings
from api.http.current import context
from api.http.microversions import at_least, microversion
from api.http.responses import empty


def _image_answer(image_id: str) -> Response:
    """Where the image will be; its id in the body from 2.45 on."""
    if at_least(2, 45):
        return answer({"image_id": image_id}, 202)
    return empty(202, {"Location": f"{settings().url()}/image/v2/images/{image_id}"})


@server_action("createImage", "servers:create_image", action_schemas.CREATE_IMAGE)
def create_image(session: Session, server: Server, value: Any) -> Response:
    metadata, count = value.get("metadata", {}), not at_least(2, 39)
    return _image_answer(imaging.create_image(session, context(), server, value["name"], metadata,
                                              count_metadata=count))  # fmt: skip


@server_action("createBackup", "os-create-backup", action_schemas.CREATE_BACKUP)
def create_backup(session: Session, server: Server, value: Any) -> Response:
    image_id = imaging.create_backup(session, context(), server, value, count_metadata=not at_least(2, 39))
    return _image_answer(image_id) if int(value["rotation"]) > 0 or at_least(2, 45) else empty(202)


@server_action("rescue", "os-rescue", action_schemas.RESCUE)
def rescue(session: Session, server: Server, value: Any) -> Response:
    password = (value or {}).get("adminPass") or create.admin_password()
    rescuing.rescue(session, context(), server, password, (value or {}).get("rescue_image_ref"))
    return answer({"adminPass": password})


@server_action("unrescue", "os-unrescue")
def unrescue(session: Session, server: Server, _value: Any) -> None:
    rescuing.unrescue(session, context(), server)


@server_action("rebuild", "servers:rebuild", action_schemas.rebuild)
def rebuild(session: Session, server: Server, value: Any) -> Response:
    password = value.get("adminPass") or create.admin_password()
    changes = server_schemas.rebuild_changes(value)
    rebuilding.rebuild(session, context(), server, value["imageRef"], password, changes)
    look = views.look_of(context(), microversion(), full=at_least(2, 75), groups=True)
    body = views.detail(session, server, look) | {"adminPass": password}
    body |= {"key_name": server.key_name} if at_least(2, 54) else {}
    body |= {"user_data": server.user_data} if at_least(2, 57) else {}
    return answer({"server": body}, 202, {"Location": f"{views.base_url()}{V2}/servers/{server.id}"})


@server_action("resize", "servers:resize", action_schemas.RESIZE)
def resize(session: Session, server: Server, value: Any) -> None:
    flavor_id = server_schemas.flavor_id(value["flavorRef"])
    resizing.resize(session, context(), server, flavor_id, value.get("OS-DCF:diskConfig"))


@server_action("confirmResize", "servers:confirm_resize")
def confirm_resize(session: Session, server: Server, _value: Any) -> Response:
    resizing.confirm(session, context(), server)
    return empty(204)


@server_action("revertResize", "servers:revert_resize")
def revert_resize(session: Session, server: Server, _value: Any) -> None:
    resizing.revert(session, context(), server)


@server_action("shelve", "os-shelve:shelve")
def shelve(session: Session, server: Server, _value: Any) -> None:
    shelving.shelve(session, context(), server)


@server_action("shelveOffload", "os-shelve:shelve_offload")
def shelve_offload(session: Session, server: Server, _value: Any) -> None:
    shelving.offload(session, context(), server)


@server_action("unshelve", "os-shelve:unshelve", action_schemas.unshelve)
def unshelve(session: Session, server: Server, value: Any) -> None:
    wanted = (value or {}) if at_least(2, 77) else {}
    unpin = "availability_zone" in wanted and wanted["availability_zone"] is None
    shelving.unshelve(session, context(), server, zone=wanted.get("availability_zone"), unpin=unpin,
                      host=wanted.get("host"))  # fmt: skip
