"""rescue and unrescue: a server boots from another image, with its own disk beside it, so that it can be repaired."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.compute import history, images, sealing
from api.compute.lifecycle import check
from api.compute.models import Server
from api.compute.states import RESCUING, UNRESCUING
from api.db.base import new_uuid
from api.http.context import Context
from api.http.faults import BadRequest, Conflict

BUSES = {"disk": ("virtio", "scsi", "sata", "ide"), "cdrom": ("ide", "sata", "scsi")}
"""hw_rescue_device -> the possible hw_rescue_bus, the usual one first."""


def rescue(session: Session, context: Context, server: Server, password: str, image_id: str | None) -> None:
    """rescue. Without `image_id` the server's own image. The password is told by the config drive, if there is one."""
    check(context, server, "rescue")
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
    picture = server.image
    if image_id:
        picture = images.picture(session, context, image_id, images.RESCUE_FORMATS)
    server.rescue = {"image_id": image_id or server.image_id, "picture": picture, "disk": f"rescue-{new_uuid()[:8]}",
                     **_device(picture.get("properties", {}))}  # fmt: skip
    server.secret = sealing.seal(password) if server.config_drive else None
    server.move(server.vm_state, task_state=RESCUING)
    history.begin(session, context, server, "rescue", "compute.server.rescue")


def _device(properties: dict[str, Any]) -> dict[str, Any]:
    """How the rescue disk is attached. An image that says so keeps the server's disks where they are (stable)."""
    device, bus = properties.get("hw_rescue_device"), properties.get("hw_rescue_bus")
    kind = str(device or "disk")
    if kind not in BUSES or (bus and bus not in BUSES[kind]):
        raise BadRequest(f"The rescue image asks for the device {kind} on the bus {bus or 'of its kind'}, which no "
                         "server of this cloud can have. Use another image.")  # fmt: skip
    return {"device": kind, "bus": str(bus or BUSES[kind][0]), "stable": bool(device or bus)}


def unrescue(session: Session, context: Context, server: Server) -> None:
    """unrescue: the server boots from its own disk again."""
    check(context, server, "unrescue")
    server.move(server.vm_state, task_state=UNRESCUING)
    history.begin(session, context, server, "unrescue", "compute.server.unrescue")
