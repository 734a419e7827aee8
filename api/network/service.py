"""The network service's face to the services above it (docs/contracts.md, "network"). Knows no Flask."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.db.events import subscribe as hear
from api.network import plan
from api.network.jobs import Origin, origin
from api.network.models import Network, Port
from api.network.plan import Sections
from api.network.server_access import (
    add_floating_ip,
    add_security_group,
    remove_floating_ip,
    remove_security_group,
)
from api.network.servers import (
    attach_ports,
    bind_host,
    detach_ports,
    network_data,
    port_at,
    server_ports,
    unplug_ports,
    usable_networks,
)
from api.network.topology import auto_topology
from api.network.types import DetachedPort, FixedIp, FloatingView, NetworkView, PortView, RequestedPort

__all__ = [
    "DetachedPort", "FixedIp", "FloatingView", "NetworkView", "Origin", "PortView", "RequestedPort", "add_floating_ip",
    "add_security_group", "attach_ports", "auto_topology", "bind_host", "detach_locks", "detach_ports", "network_data",
    "origin", "plan_attach", "plan_detach", "port_at", "port_locks", "remove_floating_ip", "remove_security_group",
    "server_ports", "unplug_ports", "usable_networks",
]  # fmt: skip


def port_locks(session: Session, host: str, port_ids: Iterable[str]) -> set[str]:
    """The locks of a job that plugs these ports on `host`."""
    query = select(Port.network_id).where(Port.id.in_(list(port_ids))).distinct()
    return _locks(session, host, session.scalars(query))


def detach_locks(session: Session, host: str, ports: Iterable[DetachedPort]) -> set[str]:
    """The locks of a job that unplugs these ports from `host`."""
    return _locks(session, host, {port.network_id for port in ports})


def _locks(session: Session, host: str, network_ids: Iterable[str]) -> set[str]:
    wanted = set(network_ids)
    locks = {f"filter@{host}"} | {f"network:{id_}@{host}" for id_ in wanted}
    for id_, dhcp_host in session.execute(select(Network.id, Network.dhcp_host).where(Network.id.in_(wanted))):
        if dhcp_host:
            locks.add(f"network:{id_}@{dhcp_host}")
    return locks


def plan_attach(session: Session, host: str, port_ids: Iterable[str]) -> Sections:
    """Per host the sections that plug these ports: networks, taps and the filter on `host`, DHCP where it runs."""
    query = select(Port.id, Port.network_id, Port.mac_address).where(Port.id.in_(list(port_ids)), Port.host == host)
    rows = session.execute(query.order_by(Port.id)).all()
    sections: Sections = {}
    networks = _networks(session, {row.network_id for row in rows})
    _networks_on(session, sections, host, networks)
    variables = plan.variables_of(session).get(host, {})
    plan.merge(sections, host, "network_bridge", {"ports": [
        {"id": id_, "tap": f"tap{id_[:11]}", "bridge": plan.bridge_on(networks[network_id], variables), "mac": mac,
         "mtu": networks[network_id].mtu, "kind": "tap", "state": "present"} for id_, network_id, mac in rows]})
    plan.merge(sections, host, "security_group", plan.filter_section(session, host))
    return sections


def plan_detach(session: Session, host: str, ports: Iterable[DetachedPort]) -> Sections:
    """Per host the sections that remove these ports, and networks that `host` needs no more.

    A port that was plugged into another server here meanwhile keeps its tap.
    """
    detached = list(ports)
    query = select(Port.id).where(Port.id.in_([port.id for port in detached]), Port.host == host)
    plugged_again = set(session.scalars(query))
    detached = [port for port in detached if port.id not in plugged_again]
    sections: Sections = {}
    networks = _networks(session, {port.network_id for port in detached})
    _networks_on(session, sections, host, networks)
    variables = plan.variables_of(session).get(host, {})
    gone = [port for port in detached if port.network_id not in networks]
    plan.merge(sections, host, "network_bridge", {
        "networks": [plan.gone_network(port.network_id, port.bridge, port.network_type, port.vni, port.mtu)
                     for port in gone if port.network_type != "flat"],
        "ports": [
            {"id": port.id, "tap": port.tap, "mac": port.mac, "mtu": port.mtu, "kind": "tap", "state": "absent",
             "bridge": plan.bridge_on(networks[port.network_id], variables) if port.network_id in networks
             else port.bridge} for port in detached],
    })  # fmt: skip
    plan.merge(sections, host, "security_group", plan.filter_section(session, host))
    return sections


def _networks(session: Session, ids: Iterable[str]) -> dict[str, Network]:
    query = select(Network).where(Network.id.in_(list(ids)))
    return {network.id: network for network in session.scalars(query)}


def _networks_on(session: Session, sections: Sections, host: str, networks: dict[str, Network]) -> None:
    """Bridges of the networks on `host` and on their DHCP hosts, with DHCP there."""
    everywhere, variables = plan.presence(session, networks), plan.variables_of(session)
    for network in networks.values():
        hosts = everywhere.get(network.id, set())
        for name in sorted({host} | ({network.dhcp_host} if network.dhcp_host else set())):
            section = plan.network_section(network, name, hosts, variables, present=name in hosts)
            plan.merge(sections, name, "network_bridge", {"networks": [section], "ports": []})
        if network.dhcp_host and (served := plan.dhcp_section(session, network, variables.get(network.dhcp_host, {}))):
            plan.merge(sections, network.dhcp_host, "network_dhcp", {"networks": [served]})




def subscribe() -> None:
    """Networks outlive their project, as in OpenStack, until they are purged."""
    from api.network import hanging

    hear("project.hangs_on", hanging.tell)
    hear("project.purge", hanging.purge)
