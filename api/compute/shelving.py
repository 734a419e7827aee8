"""shelve, shelveOffload, unshelve: a server that is not needed for a while becomes an image, and its host is free."""

from __future__ import annotations

import dataclasses

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import history, imaging, placing
from api.compute.lifecycle import check
from api.compute.models import Server
from api.compute.states import SHELVED, SHELVED_OFFLOADED, SHELVING_OFFLOADING, SPAWNING, UNSHELVING
from api.config import settings
from api.db.base import utcnow
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Conflict
from api.image import service as image
from api.network import service as network
from api.placement import service as placement


def shelve(session: Session, context: Context, server: Server) -> None:
    """shelve: the guest is shut down, its disk becomes an image, and then it leaves its host."""
    check(context, server, "shelve")
    was = server.vm_state
    image_id = imaging.shelve_image(session, context, server)
    history.begin(session, context, server, "shelve", "compute.server.shelve", {"image_id": image_id, "was": was})


def offload(session: Session, context: Context, server: Server) -> None:
    """shelveOffload: a shelved server leaves its host now."""
    check(context, server, "shelveOffload")
    leave(session, server, network.origin(context))
    history.begin(session, context, server, "shelveOffload", "compute.server.offload")


def leave(session: Session, server: Server, by: network.Origin | None = None) -> None:
    """The server's ports are unplugged in the database; the job that follows does so on the host."""
    unplugged = network.unplug_ports(session, server.id, by)
    server.detached = [*server.detached, *(dataclasses.asdict(port) for port in unplugged)]
    server.move(server.vm_state, task_state=SHELVING_OFFLOADING)


def offloaded(session: Session, server: Server) -> None:
    """Nothing of the server is on its host any more."""
    placement.release(session, server.id)
    server.host, server.detached, server.vnc_port, server.power_state = None, [], None, 0
    server.availability_zone = server.pinned_zone or ""
    server.root_disk = "disk"
    server.move(SHELVED_OFFLOADED)


def unshelve(session: Session, context: Context, server: Server, *, zone: str | None = None, unpin: bool = False,
             host: str | None = None) -> None:  # fmt: skip
    """unshelve, in another zone (2.77) or on a chosen host (2.91) if wished; 400 when no host takes the server."""
    check(context, server, "unshelve")
    if host:
        policy.authorize(context, "os_compute_api:os-shelve:unshelve_to_host", {"project_id": server.project_id})
    if (zone or host or unpin) and server.vm_state != SHELVED_OFFLOADED:
        raise Conflict(f"Cannot 'unshelve' instance {server.id} while it is in vm_state {server.vm_state}: a zone or "
                       "host can be chosen for a server that was offloaded.")  # fmt: skip
    if zone or unpin:
        server.pinned_zone = zone
    if server.vm_state == SHELVED:
        server.move(SHELVED, task_state=UNSHELVING)
        history.begin(session, context, server, "unshelve", "compute.server.unshelve")
        return
    if not server.shelved or not image.has_bytes(session, server.shelved["image_id"]):
        raise BadRequest(f"Unshelve of {server.id} is impossible: its image is gone. Delete the server.")
    found = placing.find(session, context, server, zone=server.pinned_zone, host=host)
    server.host, server.availability_zone = found.host, found.availability_zone
    placing.claim(session, server, placing.resources(server.flavor, server.image))
    network.bind_host(session, server.id, found.host, by=network.origin(context))
    server.move(SHELVED_OFFLOADED, task_state=SPAWNING)
    history.begin(session, context, server, "unshelve", "compute.server.spawn_shelved")


def returned(session: Session, server: Server) -> None:
    """The server runs again: the image that it returned from goes."""
    forget_image(session, server)
    server.shelved = None


def forget_image(session: Session, server: Server) -> None:
    """Removes the image of a shelved server."""
    if server.shelved:
        image.discard_snapshot(session, server.shelved["image_id"])


def stay_offloaded(session: Session, server: Server) -> None:
    """An unshelving came to nothing: what it had prepared on the host goes again."""
    leave(session, server)
    history.observed(session, server, "shelveOffload", "The server could not return from being shelved.",
                     "compute.server.offload")  # fmt: skip


def offloads_at_once() -> bool:
    """Whether a shelved server leaves its host as soon as its image is there."""
    return settings().compute.shelved_offload_time_s == 0


def offload_overdue(session: Session) -> None:
    """Lets shelved servers leave their hosts after `[compute] shelved_offload_time_s` (-1: never)."""
    limit_s = settings().compute.shelved_offload_time_s
    if limit_s < 0:
        return
    query = select(Server).where(Server.vm_state == SHELVED, Server.task_state.is_(None), Server.deleted.is_(False))
    now = utcnow()
    for server in session.scalars(query):
        if (now - server.updated_at).total_seconds() >= limit_s:
            leave(session, server)
            history.observed(session, server, "shelveOffload", "The time on the host is over.",
                             "compute.server.offload")  # fmt: skip
