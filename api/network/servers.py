"""Ports of servers: made or bound when a server is placed, deleted or unbound when it goes, shown with the server."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from api.db.events import announce
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, Forbidden
from api.network import dhcp, groups, ipam, jobs, quotas, schemas
from api.network.models import (
    COMPUTE_OWNER,
    DOWN,
    FloatingIp,
    Network,
    Port,
    PortIp,
    PortSecurityGroup,
    SecurityGroup,
    Subnet,
    move,
)
from api.network.types import DetachedPort, FixedIp, FloatingView, NetworkView, PortView, RequestedPort


def usable_networks(session: Session, context: Context) -> list[NetworkView]:
    """What the project may plug a server into: its own networks and shared ones, none that are external."""
    mine = or_(Network.project_id == (context.project_id or ""), Network.shared)
    networks = list(session.scalars(
        select(Network).where(mine, Network.external.is_(False)).order_by(Network.created_at, Network.id)))  # fmt: skip
    subnets: dict[str, list[str]] = defaultdict(list)
    query = select(Subnet.network_id, Subnet.id).order_by(Subnet.created_at, Subnet.id)
    for network_id, subnet_id in session.execute(query.where(Subnet.network_id.in_([net.id for net in networks]))):
        subnets[network_id].append(subnet_id)
    return [NetworkView(net.id, net.name, net.mtu, subnets[net.id]) for net in networks]


def attach_ports(
    session: Session, context: Context, *, server_id: str, host: str | None, availability_zone: str, hostname: str,
    requested: list[RequestedPort], security_groups: list[str],
) -> list[PortView]:  # fmt: skip
    """Makes the server's ports, or binds those given, with the faults that Nova answers.

    Without a host the ports are reserved, and bind_host() follows. What other hosts must learn (peers, address sets
    of groups that trust the server's) is queued as jobs of this request; the server's host is the caller's job.
    """
    project_id = context.project_id or ""
    owner = f"{COMPUTE_OWNER}{availability_zone}"
    group_ids = groups.resolve(session, project_id, security_groups) if security_groups else None
    ports: list[Port] = []
    for item in requested:
        if item.port_id:
            port = _claim(session, context, item.port_id, server_id)
        else:
            port = _make(session, context, item, group_ids)
        port.server_id = port.device_id = server_id
        port.device_owner, port.device_tag = owner, item.tag
        port.hostname = hostname
        port.bump()
        ports.append(port)
    session.flush()
    if host:
        _bind(session, jobs.origin(context), ports, host)
    return server_ports(session, [server_id])[server_id]


def _claim(session: Session, context: Context, port_id: str, server_id: str) -> Port:
    port = session.get(Port, port_id)
    if port is None or (port.project_id != context.project_id and not context.is_admin):
        raise BadRequest(f"Port id {port_id} could not be found.", kind="PortNotFound")
    if {port.device_id, port.server_id} - {"", None, server_id}:
        raise Conflict(f"Port {port_id} is still in use.")
    if port.router_id or port.device_owner.startswith("network:"):
        raise Conflict(f"Port {port_id} is still in use.")
    has_subnet = session.scalar(select(Subnet.id).where(Subnet.network_id == port.network_id).limit(1)) is not None
    if has_subnet and not port.fixed_ips:
        raise BadRequest(f"Port {port_id} requires a FixedIP in order to be used.")
    port.made_by_server = False
    return port


def _make(session: Session, context: Context, item: RequestedPort, group_ids: list[str] | None) -> Port:
    network = session.get(Network, item.network_id)
    may_see = network is not None and (
        network.project_id == context.project_id or network.shared or network.external or context.is_admin
    )
    if network is None or not may_see:
        raise BadRequest(f"Network {item.network_id} could not be found.", kind="NetworkNotFound")
    if network.external and not context.is_admin:
        raise Forbidden(f"It is not allowed to create an interface on external network {network.id}")
    subnets = ipam.subnets_of(session, network.id)
    if not subnets:
        raise BadRequest(f"Network {network.id} requires a subnet in order to boot instances on.")
    project_id = context.project_id or ""
    try:
        quotas.reserve(session, project_id, "port")
    except Conflict:
        raise Forbidden("Maximum number of ports exceeded") from None
    mac = ipam.new_mac(session, network.id)
    wanted: list[dict[str, Any]] | None = None
    if item.fixed_ip:
        address = schemas.ip("fixed_ip", item.fixed_ip)
        _refuse_taken(session, subnets, address)
        wanted = [{"ip_address": address}]
    port = Port(
        project_id=project_id, network_id=network.id, mac_address=mac, made_by_server=True, profile={},
        allowed_address_pairs=[], port_security_enabled=network.port_security_enabled,
    )  # fmt: skip
    try:
        ipam.store(port, ipam.choose(session, network, subnets, wanted, mac))
    except Conflict as error:
        raise BadRequest(error.message) from None
    if network.port_security_enabled:
        groups.put(port, group_ids or [groups.ensure_default(session, project_id)])
    session.add(port)
    session.flush()
    return port


def _refuse_taken(session: Session, subnets: list[Subnet], text: str) -> None:
    address = ipaddress.ip_address(text)
    for subnet in subnets:
        if address in ipam.cidr_of(subnet.cidr) and ipam.is_taken(session, subnet.id, text):
            raise BadRequest(f"Fixed IP address {text} is already in use on instance.", kind="IpAddressInUse")


def bind_host(session: Session, server_id: str, host: str | None, by: jobs.Origin | None = None) -> None:
    """Binds the server's ports to a host, also when it moves; None unbinds them."""
    ports = list(session.scalars(select(Port).where(Port.server_id == server_id)))
    _bind(session, by or jobs.repair(), ports, host or "")


def _bind(session: Session, by: jobs.Origin, ports: list[Port], host: str) -> None:
    for port in ports:
        if jobs.join_host(session, by, port, host):
            session.flush()
    session.flush()
    for network_id in dict.fromkeys(port.network_id for port in ports if host):
        network = session.get_one(Network, network_id)
        dhcp.ensure_dhcp(session, by, network)
    _tell_remote(session, by, ports, host)


def _tell_remote(session: Session, by: jobs.Origin, ports: list[Port], host: str) -> None:
    """Hosts whose filters hold these ports' addresses must learn of the change; `host` learns by the caller's job."""
    group_ids = {membership.security_group_id for port in ports for membership in port.groups}
    others = jobs.hosts_of_groups(session, group_ids, remote_only=True) - {host}
    jobs.apply_filters(session, by, others, [("port", port.id) for port in ports])


def detach_ports(
    session: Session, server_id: str, port_ids: Iterable[str] | None = None, by: jobs.Origin | None = None
) -> list[DetachedPort]:
    """Deletes the ports that were made for the server and unbinds the others; only `port_ids` when given.

    Returns what plan_detach() needs: keep it in the job's args (dataclasses.asdict).
    """
    by = by or jobs.repair()
    query = select(Port).where(Port.server_id == server_id)
    if port_ids is not None:
        query = query.where(Port.id.in_(list(port_ids)))
    ports = list(session.scalars(query))
    networks = {network.id: network for network in session.scalars(
        select(Network).where(Network.id.in_({port.network_id for port in ports})))}  # fmt: skip
    detached = [_detached(port, networks[port.network_id]) for port in ports]
    hosts = {port.host for port in ports if port.host}
    group_ids = {membership.security_group_id for port in ports for membership in port.groups}
    for port in ports:
        if port.made_by_server:
            delete_port_rows(session, by, port)
        else:
            port.device_id = port.device_owner = port.host = port.hostname = ""
            port.server_id = port.device_tag = None
            port.link_up = False
            move(port, "port", DOWN)
            port.bump()
    session.flush()
    others = jobs.hosts_of_groups(session, group_ids, remote_only=True) - hosts
    jobs.apply_filters(session, by, others, [("port", one.id) for one in detached])
    left = {(network_id, host) for network_id in networks for host in hosts}
    for network_id, host in sorted(left):
        jobs.left_host(session, by, network_id, host)
    return detached


def unplug_ports(session: Session, server_id: str, by: jobs.Origin | None = None) -> list[DetachedPort]:
    """Takes the server's ports off their host and keeps them: it returns, on this host or another one.

    Returns what plan_detach() needs, as detach_ports() does; bind_host() plugs them in again.
    """
    by = by or jobs.repair()
    ports = list(session.scalars(select(Port).where(Port.server_id == server_id, Port.host != "")))
    networks = {network.id: network for network in session.scalars(
        select(Network).where(Network.id.in_({port.network_id for port in ports})))}  # fmt: skip
    detached = [_detached(port, networks[port.network_id]) for port in ports]
    left = {(port.network_id, port.host) for port in ports}
    for port in ports:
        move(port, "port", DOWN)
        port.bump()
    _bind(session, by, ports, "")
    for network_id, host in sorted(left):
        jobs.left_host(session, by, network_id, host)
    return detached


def _detached(port: Port, network: Network) -> DetachedPort:
    return DetachedPort(port.id, network.id, port.tap, network.bridge, network.network_type, network.segmentation_id,
                        network.mtu, port.mac_address, network.physical_network)  # fmt: skip


def delete_port_rows(session: Session, by: jobs.Origin, port: Port) -> None:
    """Deletes a port; floating IPs that stand for it are free again."""
    announce(session, "port.before_delete", port_id=port.id)
    for floating in session.scalars(select(FloatingIp).where(FloatingIp.port_id == port.id)):
        release_floating(session, by, floating)
    session.flush()
    session.delete(port)


def release_floating(session: Session, by: jobs.Origin, floating: FloatingIp) -> None:
    """Takes a floating IP off its port; its router learns by a job."""
    router_id = floating.router_id
    floating.port_id = floating.fixed_ip_address = floating.router_id = None
    move(floating, "floatingip", DOWN)
    floating.bump()
    session.flush()
    announce(session, "floating_ip.changed", floating_ip_id=floating.id)
    if router_id:
        jobs.apply_router(session, by, router_id, [("floatingip", floating.id)])


def server_ports(session: Session, server_ids: Iterable[str]) -> dict[str, list[PortView]]:
    """Server id -> its ports, for many servers at the price of a few queries. Every id asked for is a key."""
    wanted = list(dict.fromkeys(server_ids))
    found: dict[str, list[PortView]] = {id_: [] for id_ in wanted}
    for view in _views(session, Port.server_id.in_(wanted)):
        found[view.server_id].append(view)
    return found


def _views(session: Session, *conditions: Any) -> list[PortView]:
    rows = session.execute(
        select(Port.id, Port.network_id, Network.name, Port.mac_address, Network.mtu, Port.device_tag,
               Port.made_by_server, Port.status, Port.server_id, Port.host, Port.project_id)
        .join(Network, Network.id == Port.network_id).where(*conditions).order_by(Port.created_at, Port.id)
    ).all()  # fmt: skip
    ids = [row.id for row in rows]
    if not ids:
        return []
    fixed: dict[str, list[FixedIp]] = defaultdict(list)
    for port_id, address, subnet_id in session.execute(
        select(PortIp.port_id, PortIp.address, PortIp.subnet_id)
        .where(PortIp.port_id.in_(ids)).order_by(PortIp.position)
    ):
        fixed[port_id].append(FixedIp(address, 6 if ":" in address else 4, subnet_id))
    floating: dict[str, list[FloatingView]] = defaultdict(list)
    for taken_by, floating_address, fixed_address in session.execute(
        select(FloatingIp.port_id, FloatingIp.floating_ip_address, FloatingIp.fixed_ip_address)
        .where(FloatingIp.port_id.in_(ids)).order_by(FloatingIp.floating_ip_address)
    ):  # fmt: skip
        if taken_by and fixed_address:
            floating[taken_by].append(FloatingView(floating_address, fixed_address))
    members: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for port_id, group_id, name in session.execute(
        select(PortSecurityGroup.port_id, SecurityGroup.id, SecurityGroup.name)
        .join(SecurityGroup, SecurityGroup.id == PortSecurityGroup.security_group_id)
        .where(PortSecurityGroup.port_id.in_(ids)).order_by(PortSecurityGroup.position)
    ):  # fmt: skip
        members[port_id].append((group_id, name))
    return [
        PortView(row.id, row.network_id, row.name, row.mac_address, row.mtu, f"tap{row.id[:11]}", row.device_tag,
                 fixed[row.id], floating[row.id], members[row.id], row.made_by_server, row.status, row.server_id,
                 row.host, f"brq{row.network_id[:11]}", row.project_id)
        for row in rows
    ]  # fmt: skip


def network_data(session: Session, server_id: str) -> dict[str, Any]:
    """network_data.json of a server (Nova's metadata reference, "network_data.json")."""
    ports = server_ports(session, [server_id])[server_id]
    subnets = {subnet.id: subnet for subnet in session.scalars(
        select(Subnet).where(Subnet.id.in_({ip.subnet_id for port in ports for ip in port.fixed_ips})))}  # fmt: skip
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    servers: list[dict[str, Any]] = []
    for port in ports:
        links.append({"id": port.tap, "vif_id": port.id, "type": "bridge", "mtu": port.mtu,
                      "ethernet_mac_address": port.mac})  # fmt: skip
        for ip in port.fixed_ips:
            networks.append(_network_entry(len(networks), port, ip, subnets[ip.subnet_id]))
            servers += [{"type": "dns", "address": address} for address in subnets[ip.subnet_id].dns_nameservers]
    unique = list({service["address"]: service for service in servers}.values())
    return {"links": links, "networks": networks, "services": unique}


def _network_entry(index: int, port: PortView, ip: FixedIp, subnet: Subnet) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": f"network{index}", "link": port.tap, "network_id": port.network_id}
    if subnet.ipv6_address_mode:
        return entry | {"type": f"ipv6_{subnet.ipv6_address_mode}"}
    if subnet.enable_dhcp:
        return entry | {"type": f"ipv{ip.version}_dhcp"}
    cidr = ipam.cidr_of(subnet.cidr)
    routes = [{"network": str(ipam.cidr_of(route["destination"]).network_address),
               "netmask": str(ipam.cidr_of(route["destination"]).netmask), "gateway": route["nexthop"]}
              for route in subnet.host_routes]  # fmt: skip
    if subnet.gateway_ip:
        zero = "0.0.0.0" if ip.version == 4 else "::"
        routes.insert(0, {"network": zero, "netmask": zero, "gateway": subnet.gateway_ip})
    return entry | {"type": f"ipv{ip.version}", "ip_address": ip.address, "netmask": str(cidr.netmask),
                    "routes": routes, "services": [{"type": "dns", "address": address}
                                                   for address in subnet.dns_nameservers]}  # fmt: skip


def port_at(
    session: Session, *, network_id: str | None = None, router_id: str | None = None, address: str
) -> PortView | None:
    """The server's port that has `address` on a network, or on a network that a router serves. `server_id` is set."""
    conditions: list[Any] = [Port.id.in_(select(PortIp.port_id).where(PortIp.address == address)),
                             Port.server_id.is_not(None)]  # fmt: skip
    if network_id:
        conditions.append(Port.network_id == network_id)
    elif router_id:
        served = select(Port.network_id).where(Port.router_id == router_id)
        conditions.append(Port.network_id.in_(served))
    else:
        return None
    views = _views(session, *conditions)
    return views[0] if len(views) == 1 else None

