"""The DHCP port of a network: a real port, made when the first guest or router is plugged in."""

from __future__ import annotations

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.network import ipam, jobs
from api.network.models import DHCP_OWNER, Network, Port, Subnet


def dhcp_port(session: Session, network_id: str) -> Port | None:
    """The network's DHCP port."""
    return session.scalars(
        select(Port).where(Port.network_id == network_id, Port.device_owner == DHCP_OWNER)
    ).first()


def ensure_dhcp(session: Session, by: jobs.Origin, network: Network) -> bool:
    """Makes the DHCP port agree with the network's subnets, on a host; whether anything changed."""
    served = [subnet for subnet in ipam.subnets_of(session, network.id) if subnet.enable_dhcp]
    port = dhcp_port(session, network.id)
    if not served:
        if port is not None:
            session.delete(port)
        changed = port is not None or network.dhcp_host is not None
        network.dhcp_host = None
        session.flush()
        return changed
    if port is None:
        network.dhcp_host = jobs.choose_host(session, network.availability_zone_hints)
        port = Port(
            project_id=network.project_id, network_id=network.id, mac_address=ipam.new_mac(session, network.id),
            device_owner=DHCP_OWNER, port_security_enabled=False, profile={}, allowed_address_pairs=[],
            device_id=f"dhcp{uuid.uuid5(uuid.NAMESPACE_DNS, network.dhcp_host)}-{network.id}",
        )  # fmt: skip
        session.add(port)
        jobs.join_host(session, by, port, network.dhcp_host)
    had = {ip.subnet_id: ip.address for ip in port.fixed_ips}
    if set(had) == {subnet.id for subnet in served}:
        return False
    chosen = [(subnet.id, address) for subnet in served
              if (address := had.get(subnet.id) or _address(session, subnet, port.mac_address))]  # fmt: skip
    ipam.store(port, chosen)
    port.bump()
    session.flush()
    return True


def _address(session: Session, subnet: Subnet, mac: str) -> str | None:
    return ipam.eui64(subnet, mac) if subnet.is_automatic else ipam.free_address(session, subnet)
