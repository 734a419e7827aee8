"""What may reach a server, changed by the server's name in compute's API: security groups and floating IPs."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.faults import BadRequest, NotFound
from api.network import floatingips, groups, ports
from api.network.models import FloatingIp, Port


def _ports(session: Session, server_id: str) -> list[Port]:
    query = select(Port).where(Port.server_id == server_id)
    return list(session.scalars(query.order_by(Port.created_at, Port.id)))


def add_security_group(session: Session, context: Context, server_id: str, project_id: str, name: str) -> None:
    """Puts a group, by name or id, on each of the server's ports that has port security; 404 when there is no group.

    400 when the server has no port that can have one.
    """
    (group_id,) = groups.resolve(session, project_id, [name])
    able = [port for port in _ports(session, server_id) if port.port_security_enabled]
    if not able:
        raise BadRequest(f"Instance {server_id} has no port that can have security groups.")
    for port in able:
        have = [membership.security_group_id for membership in port.groups]
        if group_id not in have:
            ports.update(session, context, port, {"security_groups": [*have, group_id]})


def remove_security_group(session: Session, context: Context, server_id: str, project_id: str, name: str) -> None:
    """Takes a group, by name or id, off the server's ports; 404 when none has it."""
    (group_id,) = groups.resolve(session, project_id, [name])
    found = False
    for port in _ports(session, server_id):
        have = [membership.security_group_id for membership in port.groups]
        if group_id in have:
            found = True
            ports.update(session, context, port, {"security_groups": [id_ for id_ in have if id_ != group_id]})
    if not found:
        raise NotFound(f"Security group {name} not associated with the instance {server_id}")


def add_floating_ip(session: Session, context: Context, server_id: str, address: str, fixed: str | None) -> None:
    """Lets a floating IP of the project stand for one of the server's addresses; 400 when it has none such."""
    floating = _floating(session, context, address)
    for port in _ports(session, server_id):
        for ip in port.fixed_ips:
            if ip.address == fixed or (fixed is None and ":" not in ip.address):
                values = {"port_id": port.id, "fixed_ip_address": ip.address}
                floatingips.update(session, context, floating, values)
                return
    if fixed is not None:
        raise BadRequest("Specified fixed address not assigned to instance")
    raise BadRequest("Unable to associate floating IP: the instance has no fixed IPv4 address.")


def remove_floating_ip(session: Session, context: Context, server_id: str, address: str) -> None:
    """Frees a floating IP; 400 when it does not stand for this server."""
    floating = _floating(session, context, address)
    if floating.port_id not in {port.id for port in _ports(session, server_id)}:
        raise BadRequest(f"Floating IP {address} is not associated with instance {server_id}.")
    floatingips.update(session, context, floating, {"port_id": None})


def _floating(session: Session, context: Context, address: str) -> FloatingIp:
    query = select(FloatingIp).where(FloatingIp.floating_ip_address == address)
    if not context.is_admin:
        query = query.where(FloatingIp.project_id == (context.project_id or ""))
    floating = session.scalar(query)
    if floating is None:
        raise NotFound("floating IP not found")
    return floating
