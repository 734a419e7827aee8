"""Desired state as module arguments (docs/contracts.md, "Module arguments"): whole networks, routers and filters."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from api.config import settings
from api.db.hosts import Host
from api.network import ipam
from api.network.models import (
    DHCP_OWNER,
    GATEWAY_OWNER,
    INTERFACE_OWNER,
    FloatingIp,
    Network,
    Port,
    PortIp,
    PortSecurityGroup,
    Router,
    SecurityGroupRule,
    Subnet,
    of_guests,
)

Section = dict[str, Any]
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
Sections = dict[str, Section]


def variables_of(session: Session) -> dict[str, dict[str, Any]]:
    """Every host's inventory variables."""
    return {row.name: row.variables for row in session.execute(select(Host.name, Host.variables))}


def presence(session: Session, network_ids: Iterable[str]) -> dict[str, set[str]]:
    """Network id -> the hosts that it is on."""
    found: dict[str, set[str]] = defaultdict(set)
    query = select(Port.network_id, Port.host).where(Port.network_id.in_(list(network_ids)), Port.host != "")
    for network_id, host in session.execute(query.distinct()):
        found[network_id].add(host)
    return found


def bridge_on(network: Network, variables: dict[str, Any]) -> str:
    """The bridge of a network on a host: its own, or for a flat network the host's physical bridge."""
    return _physical_bridge(network, variables) if network.network_type == "flat" else network.bridge


def _physical_bridge(network: Network, variables: dict[str, Any]) -> str:
    mapping = variables.get("stratiform_physical_networks") or settings().network.physical_networks
    try:
        return str(mapping[network.physical_network or ""])
    except KeyError:
        raise LookupError(
            f"physical network {network.physical_network!r} has no bridge: name it in stratiform_physical_networks"
        ) from None


def bridge_networks(session: Session, host: str, network_ids: Iterable[str]) -> list[Section]:
    """`network_bridge.networks` of a host; those that are no longer on it are absent."""
    ids = sorted(set(network_ids))
    everywhere, variables = presence(session, ids), variables_of(session)
    sections = []
    for network in session.scalars(select(Network).where(Network.id.in_(ids)).order_by(Network.id)):
        hosts = everywhere.get(network.id, set())
        sections.append(network_section(network, host, hosts, variables, present=host in hosts))
    return sections


def network_section(
    network: Network, host: str, hosts: set[str], variables: dict[str, dict[str, Any]], *, present: bool
) -> Section:
    """One network on one host."""
    flat = network.network_type == "flat"
    peers = [str(address) for name in sorted(hosts - {host})
             if (address := variables.get(name, {}).get("stratiform_tunnel_ip"))]  # fmt: skip
    return {
        "id": network.id, "type": network.network_type, "bridge": bridge_on(network, variables.get(host, {})),
        "vni": network.segmentation_id if network.network_type == "vxlan" else None, "mtu": network.mtu,
        "tunnel_ip": variables.get(host, {}).get("stratiform_tunnel_ip") if network.network_type == "vxlan" else None,
        "peers": peers if network.network_type == "vxlan" else [],
        "physical_bridge": bridge_on(network, variables.get(host, {})) if flat else None,
        "state": "present" if present else "absent",
    }  # fmt: skip


def gone_network(network_id: str, bridge: str, network_type: str, vni: int | None, mtu: int) -> Section:
    """A network whose row is gone, to be removed from a host."""
    return {"id": network_id, "type": network_type, "bridge": bridge, "vni": vni, "mtu": mtu, "tunnel_ip": None,
            "peers": [], "physical_bridge": bridge if network_type == "flat" else None, "state": "absent"}  # fmt: skip


def prefixed(address: str, subnet: Subnet) -> str:
    """`10.0.0.2/24`."""
    return f"{address}/{ipam.cidr_of(subnet.cidr).prefixlen}"


def dhcp_section(session: Session, network: Network, variables: dict[str, Any]) -> Section | None:
    """`network_dhcp.networks` entry of a network; None when no DHCP port serves it."""
    port = session.scalars(
        select(Port).where(Port.network_id == network.id, Port.device_owner == DHCP_OWNER)
    ).first()
    if port is None:
        return None
    subnets = {subnet.id: subnet for subnet in ipam.subnets_of(session, network.id)}
    routed = routed_subnets(session, subnets)
    rows = session.execute(
        select(Port.id, Port.mac_address, Port.dns_name, Port.hostname, Port.extra_dhcp_opts, PortIp.subnet_id,
               PortIp.address)
        .join(PortIp, PortIp.port_id == Port.id)
        .where(Port.network_id == network.id, Port.device_owner != DHCP_OWNER)
        .order_by(Port.id, PortIp.position)
    )
    return {
        "id": network.id, "bridge": bridge_on(network, variables), "mtu": network.mtu,
        "domain": (network.dns_domain or settings().network.dns_domain).rstrip("."),
        "port": {"id": port.id, "mac": port.mac_address,
                 "addresses": [prefixed(ip.address, subnets[ip.subnet_id]) for ip in port.fixed_ips]},
        "subnets": [
            {"id": subnet.id, "cidr": subnet.cidr, "ip_version": subnet.ip_version, "gateway_ip": subnet.gateway_ip,
             "dns_nameservers": subnet.dns_nameservers, "host_routes": subnet.host_routes,
             "enable_dhcp": subnet.enable_dhcp, **({"ipv6_mode": mode} if (mode := ipv6_mode(subnet)) else {}),
             "advertise": advertises(subnet) and bool(subnet.ipv6_address_mode) and subnet.id not in routed}
            for subnet in subnets.values()
        ],
        "hosts": [
            {"port_id": row.id, "mac": row.mac_address, "hostname": _label(row.dns_name or row.hostname, row.address),
             "subnet_id": row.subnet_id, "ip": row.address, "options": row.extra_dhcp_opts} for row in rows
        ],
        "metadata": any(subnet.ip_version == 4 for subnet in subnets.values()), "state": "present",
    }  # fmt: skip


def ipv6_mode(subnet: Subnet) -> str | None:
    """How guests of an IPv6 subnet get addresses; None when another system than ours gives them, and for IPv4.

    Without modes DHCPv6 answers those who ask, as Neutron has it.
    """
    if subnet.ip_version == 4:
        return None
    return subnet.ipv6_address_mode or (None if subnet.ipv6_ra_mode else "dhcpv6-stateful")


def advertises(subnet: Subnet) -> bool:
    """Whether router advertisements of ours announce the subnet: its router's, without one those of its DHCP host."""
    return subnet.ip_version == 6 and subnet.enable_dhcp and subnet.ipv6_ra_mode is not None


def routed_subnets(session: Session, subnet_ids: Iterable[str]) -> set[str]:
    """Those of the subnets in which a router is that is up."""
    query = (
        select(PortIp.subnet_id).join(Port, Port.id == PortIp.port_id).join(Router, Router.id == Port.router_id)
        .where(PortIp.subnet_id.in_(list(subnet_ids)), Port.device_owner == INTERFACE_OWNER, Port.admin_state_up,
               Router.admin_state_up)
    )  # fmt: skip
    return set(session.scalars(query))


def _label(name: str, address: str) -> str:
    """A guest's name without domain; that of its address where it has none that DNS could hold."""
    label = name.partition(".")[0]
    return label if _LABEL.fullmatch(label) else host_name(address)


def host_name(address: str) -> str:
    """The name of an address that nobody named, as Neutron's DNS integration makes it."""
    name = "host-" + address.replace(".", "-").replace(":", "-")
    return f"{name}0" if name.endswith("-") else name


def router_section(session: Session, router: Router) -> Section:
    """`network_router.routers` entry: the router whole."""
    plugged = select(Port).where(Port.router_id == router.id).order_by(Port.created_at, Port.id)
    ports = list(session.scalars(plugged.options(selectinload(Port.fixed_ips))))
    networks = {network.id: network for network in session.scalars(
        select(Network).where(Network.id.in_({port.network_id for port in ports})))}  # fmt: skip
    subnets = {subnet.id: subnet for subnet in session.scalars(
        select(Subnet).where(Subnet.id.in_({ip.subnet_id for port in ports for ip in port.fixed_ips})))}  # fmt: skip
    variables = variables_of(session).get(router.host or "", {})
    name_servers = _own_name_servers(session, [subnet.id for subnet in subnets.values() if advertises(subnet)])

    def plug(port: Port) -> Section:
        network = networks[port.network_id]
        return {"port_id": port.id, "mac": port.mac_address, "mtu": network.mtu,
                "bridge": bridge_on(network, variables),
                "addresses": [prefixed(ip.address, subnets[ip.subnet_id]) for ip in port.fixed_ips]}  # fmt: skip

    def advertised(port: Port) -> Section:
        announced = [subnet for ip in port.fixed_ips if advertises(subnet := subnets[ip.subnet_id])]
        servers = [server for subnet in announced for server in subnet.dns_nameservers or name_servers[subnet.id]]
        return {"advertised": [{"cidr": subnet.cidr, "mode": subnet.ipv6_ra_mode} for subnet in announced],
                "dns_nameservers": list(dict.fromkeys(servers))}  # fmt: skip

    gateway = next((port for port in ports if port.device_owner == GATEWAY_OWNER), None)
    floating = session.execute(
        select(FloatingIp.id, FloatingIp.floating_ip_address, FloatingIp.fixed_ip_address)
        .where(FloatingIp.router_id == router.id, FloatingIp.port_id.is_not(None)).order_by(FloatingIp.id)
    )  # fmt: skip
    up = router.admin_state_up
    return {
        "id": router.id,
        "interfaces": [plug(port) | advertised(port) for port in ports
                       if port is not gateway and port.admin_state_up] if up else [],
        "gateway": plug(gateway) | {
            "gateway_ips": list(dict.fromkeys(
                subnets[ip.subnet_id].gateway_ip for ip in gateway.fixed_ips if subnets[ip.subnet_id].gateway_ip)),
            "enable_snat": router.enable_snat,
        } if gateway is not None and up else None,
        "floating_ips": [{"id": id_, "floating_ip": floating_ip, "fixed_ip": fixed_ip}
                         for id_, floating_ip, fixed_ip in floating] if up else [],
        "routes": router.routes if up else [], "metadata": up, "state": "present",
    }  # fmt: skip


def _own_name_servers(session: Session, subnet_ids: list[str]) -> dict[str, list[str]]:
    """Subnet id -> the addresses at which dnsmasq answers there."""
    found: dict[str, list[str]] = {id_: [] for id_ in subnet_ids}
    query = select(PortIp.subnet_id, PortIp.address).join(Port, Port.id == PortIp.port_id)
    for id_, address in session.execute(query.where(PortIp.subnet_id.in_(subnet_ids), Port.device_owner == DHCP_OWNER)):
        found[id_].append(address)
    return found


def filter_section(session: Session, host: str) -> Section:
    """`security_group`: the whole port filter of a host, in a fixed number of queries."""
    variables = variables_of(session).get(host, {})
    ports = list(session.scalars(
        select(Port).where(Port.host == host, *of_guests()).order_by(Port.id)
        .options(selectinload(Port.fixed_ips), selectinload(Port.groups))))
    networks = {network.id: network for network in session.scalars(
        select(Network).where(Network.id.in_({port.network_id for port in ports})))}  # fmt: skip
    used = {membership.security_group_id for port in ports for membership in port.groups}
    rules: dict[str, list[Section]] = defaultdict(list)
    remote: set[str] = set()
    for rule in session.scalars(
        select(SecurityGroupRule).where(SecurityGroupRule.security_group_id.in_(used)).order_by(SecurityGroupRule.id)
    ):
        rules[rule.security_group_id].append({
            "direction": rule.direction, "ethertype": rule.ethertype, "protocol": rule.protocol,
            "port_range_min": rule.port_range_min, "port_range_max": rule.port_range_max,
            "remote_ip_prefix": rule.remote_ip_prefix, "remote_group": rule.remote_group_id})  # fmt: skip
        if rule.remote_group_id:
            remote.add(rule.remote_group_id)
    return {
        "ports": [
            {"id": port.id, "tap": port.tap, "bridge": bridge_on(networks[port.network_id], variables),
             "zone": networks[port.network_id].zone, "mac": port.mac_address,
             **_guard(port, rules)} for port in ports
        ],
        "address_sets": _address_sets(session, remote),
        "purge": True,
    }  # fmt: skip


def _guard(port: Port, rules: dict[str, list[Section]]) -> Section:
    """What a port may send and receive; one that is administratively down: nothing, from no address."""
    if not port.admin_state_up:
        return {"addresses": [], "allowed_address_pairs": [], "port_security": True, "rules": []}
    return {
        "addresses": [ip.address for ip in port.fixed_ips], "allowed_address_pairs": port.allowed_address_pairs,
        "port_security": port.port_security_enabled,
        "rules": [rule for membership in port.groups for rule in rules[membership.security_group_id]],
    }  # fmt: skip


def _address_sets(session: Session, group_ids: set[str]) -> dict[str, list[str]]:
    sets: dict[str, set[str]] = {id_: set() for id_ in sorted(group_ids)}
    members = select(PortSecurityGroup.security_group_id, PortSecurityGroup.port_id).where(
        PortSecurityGroup.security_group_id.in_(group_ids)).subquery()  # fmt: skip
    for group_id, address in session.execute(
        select(members.c.security_group_id, PortIp.address).join(PortIp, PortIp.port_id == members.c.port_id)
    ):
        sets[group_id].add(address)
    pairs = select(members.c.security_group_id, Port.allowed_address_pairs).join(Port, Port.id == members.c.port_id)
    for group_id, allowed in session.execute(pairs):
        sets[group_id].update(pair["ip_address"] for pair in allowed)
    return {id_: sorted(addresses) for id_, addresses in sets.items()}


def merge(target: Sections, host: str, module: str, section: Section) -> None:
    """Adds to a host's section of a module: lists grow, other values are set."""
    into = target.setdefault(host, {}).setdefault(module, {})
    for key, value in section.items():
        if isinstance(value, list):
            known = {item["id"] for item in into.get(key, [])}
            into.setdefault(key, []).extend(item for item in value if item["id"] not in known)
        else:
            into[key] = value
