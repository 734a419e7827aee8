"""Interfaces of a server that exists: plugged in and taken out, while it runs too."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy.orm import Session

from api.compute import create, history, lifecycle
from api.compute.models import Server
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, NotFound
from api.network import service as network

ATTACH, DETACH = "compute.server.attach_interface", "compute.server.detach_interface"
_FAULTS = {"PortNotFound": NotFound, "NetworkNotFound": NotFound, "IpAddressInUse": Conflict}
"""What the network says of a request for ports -> what os-interface answers; else 400."""


def attach(
    session: Session, context: Context, server: Server, wanted: network.RequestedPort | None
) -> network.PortView:
    """Makes or binds a port for the server, and asks its host to plug it in. None: the project's only network."""
    _check(context, server, "attach_interface")
    caller = dataclasses.replace(context, project_id=server.project_id)
    if wanted is None:
        wanted = create.only_network(session, caller)
    before = {port.id for port in ports_of(session, server)}
    if wanted.port_id in before:
        raise Conflict(f"Port {wanted.port_id} is still in use.")
    try:
        after = network.attach_ports(
            session, caller, server_id=server.id, host=server.host, availability_zone=server.availability_zone,
            hostname=server.hostname, requested=[wanted], security_groups=[],
        )  # fmt: skip
    except BadRequest as fault:
        raise _FAULTS.get(fault.kind, BadRequest)(fault.message) from None
    (made,) = [port for port in after if port.id not in before]
    history.begin(session, context, server, "attach_interface", ATTACH, {"port_id": made.id})
    return made


def detach(session: Session, context: Context, server: Server, port_id: str) -> None:
    """Takes a port from the server at once, and asks its host to unplug it; a port made for the server is deleted."""
    _check(context, server, "detach_interface")
    find(session, server, port_id)
    detached = network.detach_ports(session, server.id, [port_id], by=network.origin(context))
    history.begin(session, context, server, "detach_interface", DETACH, {"ports": _kept(detached)})


def find(session: Session, server: Server, port_id: str) -> network.PortView:
    """A port of the server; 404 when it has no such port."""
    for port in ports_of(session, server):
        if port.id == port_id:
            return port
    raise NotFound(f"Instance {server.id} does not have a port with id {port_id}")


def ports_of(session: Session, server: Server) -> list[network.PortView]:
    """The server's ports."""
    return network.server_ports(session, [server.id])[server.id]


def give_back(session: Session, server: Server, port_ids: list[str]) -> None:
    """Takes ports from the server that could not be plugged in; what is on the host goes with the server's deletion."""
    server.detached = [*server.detached, *_kept(network.detach_ports(session, server.id, port_ids))]


def _kept(ports: list[network.DetachedPort]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(port) for port in ports]


def _check(context: Context, server: Server, shown: str) -> None:
    lifecycle.check(context, server, "change_interfaces", shown)
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
