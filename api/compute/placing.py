"""A host for one server that exists: it returns from being shelved, grows, or moves."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.compute import aggregates, hints, images, scheduler
from api.compute.models import Server
from api.http.context import Context
from api.http.faults import BadRequest
from api.placement import service as placement
from api.placement.models import DISK_GB, MEMORY_MB, VCPU
from api.placement.service import HostState, NoCapacity

__all__ = ["NoCapacity", "claim", "find", "no_valid_host", "resources"]


def resources(flavor: dict[str, Any], picture: dict[str, Any]) -> dict[str, int]:
    """What a server of this flavor claims of its host, by resource class."""
    disk = flavor["disk"] or images.gib(int(picture["virtual_size_bytes"]))
    return {VCPU: flavor["vcpus"], MEMORY_MB: flavor["ram"], DISK_GB: disk}


def owner(server: Server) -> Context:
    """The server's owner, to whom its claims belong whoever asks."""
    return Context(request_id="", user_id=server.user_id, project_id=server.project_id)


def claim(session: Session, server: Server, wanted: dict[str, int], host: str | None = None) -> None:
    """What the server claims of its own host, or of `host`, becomes `wanted`. Raises NoCapacity."""
    with session.begin_nested():
        placement.release(session, server.id)
        placement.claim(session, server.id, str(host or server.host), wanted, owner(server))


def find(session: Session, context: Context, server: Server, *, zone: str | None, host: str | None = None,
         elsewhere: bool = False) -> HostState:  # fmt: skip
    """The best host for the server as it is, another one than its own if `elsewhere`. Claims nothing; 400 when none."""
    states = aggregates.candidates(session)
    if host is not None and host not in {state.host for state in states}:
        raise BadRequest(f"Compute host {host} could not be found.")
    if zone is not None and zone not in {state.availability_zone for state in states}:
        raise BadRequest("The requested availability zone is not available")
    reasons = {}
    if elsewhere:
        reasons = {state.host: "the server is there already" for state in states if state.host == server.host}
        states = [state for state in states if state.host != server.host]
    wanted = scheduler.Wanted(
        resources=resources(server.flavor, server.image), zone=zone, host=host,
        image_properties=server.image.get("properties", {}),
        **hints.wishes(session, context, server.scheduler_hints, server.flavor["extra_specs"], 1, without=server.id),
    )  # fmt: skip
    try:
        (name,) = scheduler.choose(states, wanted, 1)
    except scheduler.NoValidHost as error:
        raise BadRequest(no_valid_host(context, reasons | error.reasons)) from None
    return next(state for state in states if state.host == name)


def no_valid_host(context: Context, reasons: dict[str, str]) -> str:
    """The sentence for the caller; administrators read every host's reason."""
    text = "No valid host was found. There are not enough hosts available."
    if context.is_admin and reasons:
        text += " " + "; ".join(f"{host}: {reason}" for host, reason in sorted(reasons.items()))
    return text
