"""Floating IPs: an external network's address that stands for a port's fixed address, by the router between them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.db.base import new_uuid
from api.db.events import announce
from api.http.context import Context
from api.http.faults import NotFound
from api.network import faults, ipam, jobs, quotas
from api.network.models import FLOATING_OWNER, FloatingIp, Network, Port, PortIp, Router, Subnet
from api.network.servers import release_floating


def create(session: Session, context: Context, values: dict[str, Any]) -> FloatingIp:
    """A new floating IP, associated at once when the request names a port."""
    network = _external(session, context, values["floating_network_id"])
    quotas.reserve(session, values["project_id"], "floatingip")
    quotas.lock(session, f"network-addresses:{network.id}")
    port_id, fixed = values.pop("port_id", None), values.pop("fixed_ip_address", None)
    wanted, subnet_id = values.pop("floating_ip_address", None), values.pop("subnet_id", None)
    if fixed and not port_id:
        raise faults.bad("BadRequest", "Bad floatingip request: fixed_ip_address cannot be specified without a "
                         "port_id.")  # fmt: skip
    id_ = new_uuid()
    port = _hold(session, network, id_, wanted, subnet_id)
    floating = FloatingIp(**values, id=id_, floating_port_id=port.id, floating_ip_address=port.fixed_ips[0].address)
    session.add(floating)
    session.flush()
    if port_id:
        _associate(session, context, floating, port_id, fixed)
    return floating


def _external(session: Session, context: Context, network_id: str) -> Network:
    network = session.get(Network, network_id)
    own = network is not None and (network.project_id == context.project_id or network.shared or context.is_admin)
    if network is None or not (network.external or own):
        raise faults.not_found("network", network_id)
    if not network.external:
        raise faults.bad("BadRequest", f"Bad floatingip request: Network {network_id} is not a valid external network.")
    return network


def _hold(session: Session, network: Network, id_: str, wanted: str | None, subnet_id: str | None) -> Port:
    """The port that keeps the address from others."""
    subnets = [subnet for subnet in ipam.subnets_of(session, network.id) if subnet.ip_version == 4]
    if not subnets:
        raise faults.bad("BadRequest", f"Bad floatingip request: Network {network.id} does not contain any IPv4 "
                         "subnet.")  # fmt: skip
    request: list[dict[str, Any]] | None = None
    if wanted or subnet_id:
        request = [{key: value for key, value in (("ip_address", wanted), ("subnet_id", subnet_id)) if value}]
    mac = ipam.new_mac(session, network.id)
    port = Port(project_id="", network_id=network.id, mac_address=mac, device_id=id_, device_owner=FLOATING_OWNER,
                port_security_enabled=False, profile={}, allowed_address_pairs=[], status="N/A")  # fmt: skip
    ipam.store(port, ipam.choose(session, network, subnets, request, mac, for_router=True))
    session.add(port)
    session.flush()
    return port


def update(session: Session, context: Context, floating: FloatingIp, values: dict[str, Any]) -> FloatingIp:
    """Describes, moves, or with `port_id: null` disassociates."""
    fixed = values.pop("fixed_ip_address", None)
    moving, port_id = "port_id" in values, values.pop("port_id", None)
    for key, value in values.items():
        setattr(floating, key, value)
    if not moving and fixed:
        if floating.port_id is None:
            raise faults.bad("BadRequest", "Bad floatingip request: fixed_ip_address cannot be specified without a "
                             "port_id.")  # fmt: skip
        moving, port_id = True, floating.port_id
    if moving and port_id is None:
        if floating.port_id is not None:
            release_floating(session, jobs.origin(context), floating)
    elif moving:
        _associate(session, context, floating, port_id or "", fixed)
    floating.bump()
    session.flush()
    return floating


def _associate(session: Session, context: Context, floating: FloatingIp, port_id: str, fixed: str | None) -> None:
    port = session.get(Port, port_id)
    if port is None or not (port.project_id == context.project_id or context.is_admin):
        raise faults.not_found("port", port_id)
    ip = _internal_address(port, fixed)
    taken = select(FloatingIp.id).where(
        FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address == ip.address, FloatingIp.id != floating.id,
        FloatingIp.floating_network_id == floating.floating_network_id,
    )  # fmt: skip
    if session.scalar(taken) is not None:
        raise faults.conflict(
            "FloatingIPPortAlreadyAssociated",
            f"Cannot associate floating IP {floating.floating_ip_address} ({floating.id}) with port {port.id} using "
            f"fixed IP {ip.address}, as that fixed IP already has a floating IP on external network "
            f"{floating.floating_network_id}.",
        )
    before, router_id = floating.router_id, _router_between(session, floating, port, ip)
    if (floating.port_id, floating.fixed_ip_address, before) == (port.id, ip.address, router_id):
        return
    floating.port_id, floating.fixed_ip_address, floating.router_id = port.id, ip.address, router_id
    floating.bump()
    session.flush()
    announce(session, "floating_ip.changed", floating_ip_id=floating.id)
    for id_ in dict.fromkeys(one for one in (before, router_id) if one):
        jobs.apply_router(session, jobs.origin(context), id_, [("floatingip", floating.id), ("port", port.id)])


def _internal_address(port: Port, fixed: str | None) -> PortIp:
    candidates = [ip for ip in port.fixed_ips if ":" not in ip.address]
    if fixed:
        for ip in candidates:
            if ip.address == fixed:
                return ip
        raise faults.bad("BadRequest", f"Bad floatingip request: Port {port.id} does not have fixed ip {fixed}.")
    if not candidates:
        raise faults.bad("BadRequest", f"Bad floatingip request: Cannot add floating IP to port {port.id} that has no "
                         "fixed IPv4 addresses.")  # fmt: skip
    if len(candidates) > 1:
        raise faults.bad("BadRequest", f"Bad floatingip request: Port {port.id} has multiple fixed IPv4 addresses.  "
                         "Must provide a specific IPv4 address when assigning a floating IP.")  # fmt: skip
    return candidates[0]


def _router_between(session: Session, floating: FloatingIp, port: Port, ip: PortIp) -> str:
    """The router that serves the port's subnet and has its gateway on the floating network; the subnet's own first."""
    rows = session.execute(
        select(Router.id, PortIp.address, Subnet.gateway_ip).join(Port, Port.router_id == Router.id)
        .join(PortIp, PortIp.port_id == Port.id).join(Subnet, Subnet.id == PortIp.subnet_id)
        .where(PortIp.subnet_id == ip.subnet_id, Router.gateway_network_id == floating.floating_network_id)
        .order_by(Router.created_at)
    ).all()  # fmt: skip
    if not rows:
        raise NotFound(
            f"External network {floating.floating_network_id} is not reachable from subnet {ip.subnet_id}.  Therefore, "
            f"cannot associate Port {port.id} with a Floating IP.", kind="ExternalGatewayForFloatingIPNotFound",
        )  # fmt: skip
    own = [row.id for row in rows if row.address == row.gateway_ip]
    return str(own[0] if own else rows[0].id)


def remove(session: Session, context: Context, floating: FloatingIp) -> None:
    """Gives the address back; the router learns of it."""
    router_id, id_, port_id = floating.router_id, floating.id, floating.floating_port_id
    session.delete(floating)
    session.flush()
    session.delete(session.get_one(Port, port_id))
    session.flush()
    announce(session, "floating_ip.changed", floating_ip_id=id_)
    if router_id:
        jobs.apply_router(session, jobs.origin(context), router_id, [("floatingip", id_)])
