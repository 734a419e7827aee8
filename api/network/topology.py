"""The network that a project gets when it asks for none: subnets of the default pools, a router to the outside."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.faults import BadRequest, Conflict, Fault
from api.network import faults, networks, quotas, routers, subnetpools, subnets
from api.network.models import AutoTopology, Network, Router, SubnetPool


def _failure(reason: str) -> Conflict:
    return faults.conflict("AutoAllocationFailure", f"Deployment error: {reason}.")


def requirements(session: Session) -> tuple[Network, list[SubnetPool]]:
    """The default external network and the default pools; 409 where the operator has not made them."""
    outside = session.scalars(select(Network).where(Network.is_default, Network.external)).first()
    if outside is None:
        raise _failure("No default router:external network")
    pools = [pool for version in (4, 6) if (pool := subnetpools.default_pool(session, version)) is not None]
    if not pools:
        raise _failure("No default subnetpools defined")
    return outside, pools


def of(session: Session, project_id: str) -> AutoTopology | None:
    """What the project was given."""
    return session.get(AutoTopology, project_id)


def ensure(session: Session, context: Context, project_id: str) -> str:
    """The id of the project's automatic network, made at first use. In one transaction: all of it or nothing."""
    quotas.lock(session, f"network-auto:{project_id}")
    if (known := of(session, project_id)) is not None:
        return known.network_id
    outside, pools = requirements(session)
    network = networks.create(session, context, {"project_id": project_id, "name": "auto_allocated_network"})
    router = routers.create(session, context, {
        "project_id": project_id, "name": "auto_allocated_router", "external_gateway_info": {"network_id": outside.id},
    })  # fmt: skip
    for pool in pools:
        subnet = subnets.create(session, context, network, {
            "project_id": project_id, "name": f"auto_allocated_subnet_v{pool.ip_version}",
            "ip_version": pool.ip_version, "network_id": network.id, "subnetpool_id": pool.id,
            **(_AUTOMATIC if pool.ip_version == 6 and pool.default_prefixlen == 64 else {}),
        })  # fmt: skip
        routers.add_interface(session, context, router, {"subnet_id": subnet.id})
    session.add(AutoTopology(project_id=project_id, network_id=network.id, router_id=router.id))
    session.flush()
    return network.id


_AUTOMATIC = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
"""Neutron leaves the modes out, and with them guests without a word of the prefix; ours hear of it."""


def remove(session: Session, context: Context, project_id: str) -> None:
    """Takes the topology away: router, then network; 409 while servers are on it. Nothing when there is none."""
    topology = of(session, project_id)
    if topology is None:
        return
    router = session.get_one(Router, topology.router_id)
    network = session.get_one(Network, topology.network_id)
    session.delete(topology)
    session.flush()
    for port in routers.interfaces(session, router):
        routers.remove_interface(session, context, router, {"port_id": port.id})
    routers.remove(session, context, router)
    networks.remove(session, context, network)


def auto_topology(session: Session, context: Context) -> str:
    """For compute's `networks: auto`: the id of the network that the caller's project gets; 400 as Nova says it."""
    try:
        return ensure(session, context, context.project_id or "")
    except Fault as fault:
        message = f"Unable to automatically allocate a network for project {context.project_id}: {fault.message}"
        raise BadRequest(message) from None
