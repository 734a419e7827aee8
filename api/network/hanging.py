"""What of the network hangs on a project: floating IPs, routers, ports, networks with subnets, security groups."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.hanging import Hanging, Key, Purge
from api.network import floatingips, groups, networks, ports, routers, subnets
from api.network.models import (
    DHCP_OWNER,
    FLOATING_OWNER,
    FloatingIp,
    Network,
    Port,
    Router,
    SecurityGroup,
    Subnet,
)

FLOATING_IP, ROUTER, PORT = "network.floating_ip", "network.router", "network.port"
NETWORK, SUBNET, GROUP = "network.network", "network.subnet", "network.security_group"


def tell(session: Session, *, project_id: str, found: list[Hanging]) -> None:
    """Adds them to `found`: a server's ports below it, the others below their router or network."""
    for network in session.scalars(select(Network).where(Network.project_id == project_id)):
        found.append(Hanging(NETWORK, network.id, network.name, network.status))
    for subnet in session.scalars(select(Subnet).where(Subnet.project_id == project_id)):
        found.append(Hanging(SUBNET, subnet.id, subnet.name, under=(NETWORK, subnet.network_id)))
    for router in session.scalars(select(Router).where(Router.project_id == project_id)):
        found.append(Hanging(ROUTER, router.id, router.name, router.status))
    for port in _ports(session, project_id):
        found.append(Hanging(PORT, port.id, port.name, port.status, _above(port)))
    for floating in session.scalars(select(FloatingIp).where(FloatingIp.project_id == project_id)):
        found.append(Hanging(FLOATING_IP, floating.id, floating.floating_ip_address, floating.status))
    for group in session.scalars(select(SecurityGroup).where(SecurityGroup.project_id == project_id)):
        found.append(Hanging(GROUP, group.id, group.name))


def _ports(session: Session, project_id: str) -> Iterable[Port]:
    """The project's ports but those that DHCP and floating IPs keep for themselves."""
    query = select(Port).where(Port.project_id == project_id, Port.device_owner.not_in((DHCP_OWNER, FLOATING_OWNER)))
    return session.scalars(query).all()


def _above(port: Port) -> Key:
    if port.server_id:
        return ("compute.server", port.server_id)
    return (ROUTER, port.router_id) if port.router_id else (NETWORK, port.network_id)


def purge(session: Session, *, context: Context, purge: Purge) -> None:
    """Removes what nothing else of the project holds any more; the rest is for the next pass."""
    project_id = str(context.project_id)
    for floating in session.scalars(select(FloatingIp).where(FloatingIp.project_id == project_id)).all():
        purge.remove(session, FLOATING_IP, floating.id, partial(floatingips.remove, session, context, floating))
    for router in session.scalars(select(Router).where(Router.project_id == project_id)).all():
        purge.remove(session, ROUTER, router.id, partial(_remove_router, session, context, router))
    for port in _ports(session, project_id):
        if not port.router_id and not port.server_id:
            purge.remove(session, PORT, port.id, partial(ports.remove, session, context, port))
    owned = select(Network.id).where(Network.project_id == project_id)
    query = select(Subnet).where(Subnet.project_id == project_id, Subnet.network_id.not_in(owned))
    for subnet in session.scalars(query).all():
        purge.remove(session, SUBNET, subnet.id, partial(subnets.remove, session, context, subnet))
    for network in session.scalars(select(Network).where(Network.project_id == project_id)).all():
        purge.remove(session, NETWORK, network.id, partial(networks.remove, session, context, network))
    for group in session.scalars(select(SecurityGroup).where(SecurityGroup.project_id == project_id)).all():
        purge.remove(session, GROUP, group.id, partial(groups.remove, session, context, group))


def _remove_router(session: Session, context: Context, router: Router) -> None:
    """Deletes a router with its routes and interfaces."""
    router.routes = []
    for port in routers.interfaces(session, router):
        routers.remove_interface(session, context, router, {"port_id": port.id})
    routers.remove(session, context, router)
