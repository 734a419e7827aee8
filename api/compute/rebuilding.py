"""rebuild: a server begins anew from an image, with its id, ports and host as they are."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.compute import create, history, images, quotas, scheduler, sealing
from api.compute.lifecycle import check
from api.compute.models import Server
from api.compute.states import REBUILDING
from api.db.base import new_uuid
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Conflict
from api.placement import service as placement


def rebuild(session: Session, context: Context, server: Server, image_id: str, password: str,
            changes: dict[str, Any]) -> None:  # fmt: skip
    """rebuild. `changes` by column; `key_name` is the caller's key pair's name or None for none."""
    check(context, server, "rebuild")
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
    if changes.get("trusted_certificates"):
        policy.authorize(context, "os_compute_api:servers:rebuild:trusted_certs", {"project_id": server.project_id})
    picture = images.picture(session, context, image_id)
    images.check_fit(picture, server.flavor["ram"], server.flavor["disk"])
    _check_host(session, server, picture)
    if "meta" in changes:
        quotas.check_metadata(session, server.project_id, len(changes["meta"]))
    if "key_name" in changes:
        changes["keypair"] = create.keypair_copy(session, context, changes["key_name"])
    if "hostname" in changes:
        changes["hostname"] = create.hostname_of(changes["hostname"], server.id)
    for name, value in changes.items():
        setattr(server, name, value)
    server.image_id, server.image = image_id, picture
    # A new file is a new disk: a job that is repeated finds it made, and the old one goes when the new one runs.
    server.root_disk = f"disk-{new_uuid()[:8]}"
    server.secret = sealing.seal(password) if server.config_drive else None
    was = server.vm_state
    server.move(server.vm_state, task_state=REBUILDING)
    history.begin(session, context, server, "rebuild", "compute.server.rebuild", {"vm_state": was})


def _check_host(session: Session, server: Server, picture: dict[str, Any]) -> None:
    """The server stays where it is, so its host must be able to run the image."""
    wanted = scheduler.Wanted(resources={}, image_properties=picture["properties"])
    for state in placement.candidates(session):
        if state.host == server.host and (reason := scheduler.runs_image(state, wanted)):
            raise BadRequest(f"No valid host was found. The server's host cannot run the image: {reason}.")

