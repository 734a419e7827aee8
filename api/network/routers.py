"""Routers: gateway, interfaces, extra routes. A router gets a host when it first has something to route."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.faults import NotFound
from api.network import faults, ipam, jobs, plan, quotas
from api.network.models import (
    COMPUTE_OWNER,
    GATEWAY_OWNER,
    INTERFACE_OWNER,
    FloatingIp,
    Network,
    Port,
    PortIp,
    Router,
    Subnet,
)
from api.network.networks import check_zones

MAX_ROUTES = 30


def create(session: Session, context: Context, values: dict[str, Any]) -> Router:
    """A new router, with a gateway when the request names one."""
    gateway = values.pop("external_gateway_info", None)
    check_zones(session, values.get("availability_zone_hints", []))
    quotas.reserve(session, values["project_id"], "router")
    router = Router(**values)
    session.add(router)
    session.flush()
    if gateway and _set_gateway(session, context, router, gateway):
        jobs.apply_router(session, jobs.origin(context), router.id)
    return router


def update(session: Session, context: Context, router: Router, values: dict[str, Any]) -> Router:
    """Changes a router; its host learns of it."""
    left: list[dict[str, Any]] = []
    changed = False
    if "external_gateway_info" in values:
        gateway = values.pop("external_gateway_info")
        left = _leaving(session, router, gateway_port(session, router)) if router.host else []
        changed = _set_gateway(session, context, router, gateway or None)
    if "routes" in values:
        _check_routes(session, router, values["routes"] or [])
        values["routes"] = values["routes"] or []
    switched = values.get("admin_state_up", router.admin_state_up) != router.admin_state_up
    changed |= switched or values.get("routes", router.routes) != router.routes
    for key, value in values.items():
        setattr(router, key, value)
    router.bump()
    session.flush()
    if changed:
        _apply(session, context, router, left)
    if switched:
        _tell_dhcp(session, context, router, _subnets_of(session, router))
    return router


def _subnets_of(session: Session, router: Router) -> Sequence[Subnet]:
    query = select(Subnet).join(PortIp, PortIp.subnet_id == Subnet.id).join(Port, Port.id == PortIp.port_id)
    return session.scalars(query.where(Port.router_id == router.id).order_by(Subnet.id)).unique().all()


def _apply(session: Session, context: Context, router: Router, left: list[dict[str, Any]]) -> None:
    """Queues the router's job; `left` are the networks that it may have left."""
    args: dict[str, Any] = {"left_networks": left, "host": router.host} if left else {}
    by = jobs.origin(context)
    jobs.apply_router(session, by, router.id, **args)
    for section in left:
        jobs.left_host(session, by, section["id"], router.host or "")


def _tell_dhcp(session: Session, context: Context, router: Router, subnets: Iterable[Subnet]) -> None:
    """A subnet's router advertises it, and as long as there is none its DHCP host does: each must know of the other."""
    for network_id in sorted({subnet.network_id for subnet in subnets if plan.advertises(subnet)}):
        jobs.apply_network(session, jobs.origin(context), network_id, [("router", router.id)])


def _leaving(session: Session, router: Router, port: Port | None) -> list[dict[str, Any]]:
    """The network of a port as a section that removes it from the router's host."""
    if port is None or router.host is None:
        return []
    network = session.get_one(Network, port.network_id)
    if network.network_type == "flat":
        return []
    return [plan.network_section(network, router.host, set(), plan.variables_of(session), present=False)]


def gateway_port(session: Session, router: Router) -> Port | None:
    """The port on the external network."""
    query = select(Port).where(Port.router_id == router.id, Port.device_owner == GATEWAY_OWNER)
    return session.scalars(query).first()


def _ensure_host(session: Session, router: Router) -> str:
    if router.host is None:
        router.host = jobs.choose_host(session, router.availability_zone_hints)
        session.flush()
    return router.host


def _set_gateway(session: Session, context: Context, router: Router, wanted: dict[str, Any] | None) -> bool:
    """Sets, changes or clears the gateway; whether anything changed."""
    port = gateway_port(session, router)
    network_id = (wanted or {}).get("network_id")
    if wanted and not network_id:
        if port is None:
            raise faults.invalid("Invalid input for external_gateway_info. Reason: network_id is required.")
        network_id = port.network_id
    if not wanted or (port is not None and port.network_id != network_id):
        if port is None:
            return False
        _refuse_floating(session, router, port.network_id)
        session.delete(port)
        router.gateway_network_id, router.enable_snat, port = None, True, None
        session.flush()
        if not wanted:
            return True
    network = _external(session, context, network_id or "")
    fixed_ips = wanted.get("external_fixed_ips") or None
    quotas.lock(session, f"network-addresses:{network.id}")
    if port is None:
        host, mac = _ensure_host(session, router), ipam.new_mac(session, network.id)
        port = Port(
            project_id="", network_id=network.id, mac_address=mac, device_id=router.id, router_id=router.id,
            device_owner=GATEWAY_OWNER, port_security_enabled=False, profile={}, allowed_address_pairs=[],
        )  # fmt: skip
        subnets = ipam.subnets_of(session, network.id)
        if not subnets:
            raise faults.bad("BadRequest", f"Bad router request: network {network.id} has no subnet to take the "
                             "gateway's address from.")  # fmt: skip
        ipam.store(port, ipam.choose(session, network, subnets, fixed_ips, mac, for_router=True))
        session.add(port)
        session.flush()
        jobs.join_host(session, jobs.origin(context), port, host)
        router.gateway_network_id = network.id
    elif fixed_ips is not None:
        subnets = ipam.subnets_of(session, network.id)
        had = {ip.subnet_id: ip.address for ip in port.fixed_ips}
        explicit = [item if item.get("ip_address") or item.get("subnet_id") not in had
                    else {**item, "ip_address": had[item["subnet_id"]]} for item in fixed_ips]  # fmt: skip
        chosen = ipam.choose(session, network, subnets, explicit, port.mac_address, keep=port.fixed_ips,
                             for_router=True)  # fmt: skip
        ipam.store(port, chosen)
    router.enable_snat = wanted.get("enable_snat", True) in (True, 1, "true", "True", "1")
    session.flush()
    return True


def _external(session: Session, context: Context, network_id: str) -> Network:
    network = session.get(Network, network_id)
    seen = network is not None and (
        network.external or network.shared or network.project_id == context.project_id or context.is_admin
    )
    if network is None or not seen:
        raise faults.not_found("network", network_id)
    if not network.external:
        raise faults.bad("BadRequest", f"Bad router request: Network {network_id} is not an external network.")
    return network


def _refuse_floating(session: Session, router: Router, network_id: str) -> None:
    held = select(FloatingIp.id).where(
        FloatingIp.router_id == router.id, FloatingIp.floating_network_id == network_id
    )
    if session.scalar(held.limit(1)) is not None:
        raise faults.conflict("RouterExternalGatewayInUseByFloatingIp", f"Gateway cannot be updated for router "
                              f"{router.id}, since a gateway to external network {network_id} is required by one or "
                              "more floating IPs.")  # fmt: skip


def interfaces(session: Session, router: Router) -> list[Port]:
    """The router's ports on tenants' networks."""
    query = select(Port).where(Port.router_id == router.id, Port.device_owner == INTERFACE_OWNER)
    return list(session.scalars(query.order_by(Port.created_at, Port.id)))


def _wanted(body: dict[str, Any]) -> tuple[str | None, str | None]:
    subnet_id, port_id = body.get("subnet_id"), body.get("port_id")
    for value in (subnet_id, port_id):
        if value is not None and not isinstance(value, str):
            raise faults.bad("BadRequest", f"Bad router request: {value!r} is not a valid UUID.")
    if not subnet_id and not port_id:
        raise faults.bad("BadRequest", "Bad router request: Either subnet_id or port_id must be specified.")
    return subnet_id, port_id


def add_interface(session: Session, context: Context, router: Router, body: dict[str, Any]) -> dict[str, Any]:
    """Plugs the router into a subnet (at its gateway address), or takes a given port."""
    subnet_id, port_id = _wanted(body)
    if subnet_id and port_id:
        raise faults.bad("BadRequest", "Bad router request: Cannot specify both subnet-id and port-id.")
    port = _given_port(session, context, router, port_id) if port_id else _gateway_of_subnet(
        session, context, router, subnet_id or "")  # fmt: skip
    port.router_id, port.device_id, port.device_owner = router.id, router.id, INTERFACE_OWNER
    port.port_security_enabled, port.groups, port.allowed_address_pairs = False, [], []
    session.add(port)
    session.flush()
    port.bump()
    jobs.join_host(session, jobs.origin(context), port, _ensure_host(session, router))
    router.bump()
    session.flush()
    _apply(session, context, router, [])
    _tell_dhcp(session, context, router, (session.get_one(Subnet, ip.subnet_id) for ip in port.fixed_ips))
    return interface_view(router, port) | ({"subnet_id": subnet_id} if subnet_id else {})


def interface_view(router: Router, port: Port) -> dict[str, Any]:
    """What add and remove answer."""
    subnet_ids = [ip.subnet_id for ip in port.fixed_ips]
    return {"id": router.id, "tenant_id": router.project_id, "project_id": router.project_id, "port_id": port.id,
            "network_id": port.network_id, "subnet_id": subnet_ids[0] if subnet_ids else None,
            "subnet_ids": subnet_ids}  # fmt: skip


def _may_plug(network: Network, context: Context) -> bool:
    return network.shared or network.project_id == context.project_id or context.is_admin


def _gateway_of_subnet(session: Session, context: Context, router: Router, subnet_id: str) -> Port:
    subnet = session.get(Subnet, subnet_id)
    network = session.get_one(Network, subnet.network_id) if subnet else None
    if subnet is None or network is None or not _may_plug(network, context):
        raise faults.not_found("subnet", subnet_id)
    if not subnet.gateway_ip:
        raise faults.bad("BadRequest", "Bad router request: Subnet for router interface must have a gateway IP.")
    if not ipam.usable(subnet, ipaddress.ip_address(subnet.gateway_ip)):
        raise faults.bad("InvalidIpForSubnet", f"IP address {subnet.gateway_ip} is not a valid IP for the specified "
                         "subnet.")  # fmt: skip
    _refuse_overlap(session, router, [subnet])
    quotas.lock(session, f"network-addresses:{network.id}")
    if ipam.is_taken(session, subnet.id, subnet.gateway_ip):
        raise faults.ip_in_use(network.id, subnet.gateway_ip)
    if subnet.ip_version == 6 and (known := _ipv6_interface(session, router, network.id)) is not None:
        ipam.store(known, [*((ip.subnet_id, ip.address) for ip in known.fixed_ips), (subnet.id, subnet.gateway_ip)])
        return known
    quotas.reserve(session, router.project_id, "port")
    port = Port(project_id=router.project_id, network_id=network.id, profile={}, allowed_address_pairs=[],
                mac_address=ipam.new_mac(session, network.id), device_owner=INTERFACE_OWNER)  # fmt: skip
    ipam.store(port, [(subnet.id, subnet.gateway_ip)])
    return port


def _ipv6_interface(session: Session, router: Router, network_id: str) -> Port | None:
    """The router's port on the network that has IPv6 addresses: one port holds all of a network's prefixes."""
    for port in interfaces(session, router):
        if port.network_id == network_id and all(":" in ip.address for ip in port.fixed_ips):
            return port
    return None


def _given_port(session: Session, context: Context, router: Router, port_id: str) -> Port:
    port = session.get(Port, port_id)
    if port is None or not (port.project_id == context.project_id or context.is_admin):
        raise faults.not_found("port", port_id)
    if port.device_id or port.server_id or port.device_owner.startswith(COMPUTE_OWNER):
        message = (f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has "
                   f"an attached device {port.device_id}.")  # fmt: skip
        raise faults.conflict("PortInUse", message)
    if not port.fixed_ips:
        raise faults.bad("BadRequest", "Bad router request: Router port must have at least one fixed IP.")
    subnets = [session.get_one(Subnet, ip.subnet_id) for ip in port.fixed_ips]
    if sum(subnet.ip_version == 4 for subnet in subnets) > 1:
        raise faults.bad("BadRequest", "Bad router request: Cannot have multiple IPv4 subnets on router port.")
    _refuse_overlap(session, router, subnets)
    return port


def _refuse_overlap(session: Session, router: Router, subnets: list[Subnet]) -> None:
    """A router cannot tell overlapping subnets apart."""
    for other in _subnets_of(session, router):
        for subnet in subnets:
            if other.id == subnet.id:
                raise faults.bad("BadRequest", f"Bad router request: Router already has a port on subnet {subnet.id}.")
            if ipam.cidr_of(other.cidr).overlaps(ipam.cidr_of(subnet.cidr)):
                raise faults.bad("BadRequest", f"Bad router request: Cidr {subnet.cidr} of subnet {subnet.id} "
                                 f"overlaps with cidr {other.cidr} of subnet {other.id}.")  # fmt: skip


def remove_interface(session: Session, context: Context, router: Router, body: dict[str, Any]) -> dict[str, Any]:
    """Unplugs the router from a subnet or a port; the port is deleted."""
    subnet_id, port_id = _wanted(body)
    port = _interface(session, router, subnet_id, port_id)
    subnet_ids = [ip.subnet_id for ip in port.fixed_ips]
    if subnet_id and not port_id:
        subnet_ids = [subnet_id]
    on_subnets = select(PortIp.port_id).where(PortIp.subnet_id.in_(subnet_ids),
                                              PortIp.address == FloatingIp.fixed_ip_address)  # fmt: skip
    held = select(FloatingIp.id).where(FloatingIp.router_id == router.id, FloatingIp.port_id.in_(on_subnets))
    if session.scalar(held.limit(1)) is not None:
        message = f"Router interface for subnet {subnet_ids[0]} on router {router.id} cannot be deleted, as it is "
        raise faults.conflict("RouterInterfaceInUseByFloatingIP", message + "required by one or more floating IPs.")
    subnets = [session.get_one(Subnet, id_) for id_ in subnet_ids]
    cidrs = [ipam.cidr_of(subnet.cidr) for subnet in subnets]
    if any(ipaddress.ip_address(route["nexthop"]) in cidr for route in router.routes for cidr in cidrs):
        raise faults.conflict("RouterInterfaceInUseByRoute", f"Router interface for subnet {subnet_ids[0]} on router "
                              f"{router.id} cannot be deleted, as it is required by one or more routes.")  # fmt: skip
    view = interface_view(router, port) | {"subnet_id": subnet_ids[0], "subnet_ids": subnet_ids}
    left: list[dict[str, Any]] = []
    if kept := [(ip.subnet_id, ip.address) for ip in port.fixed_ips if ip.subnet_id not in subnet_ids]:
        ipam.store(port, kept)
        port.bump()
    else:
        left = _leaving(session, router, port)
        session.delete(port)
    router.bump()
    session.flush()
    _apply(session, context, router, left)
    _tell_dhcp(session, context, router, subnets)
    return view


def _interface(session: Session, router: Router, subnet_id: str | None, port_id: str | None) -> Port:
    plugged = interfaces(session, router)
    if port_id:
        port = next((one for one in plugged if one.id == port_id), None)
        if port is None:
            message = f"Router {router.id} does not have an interface with id {port_id}"
            raise NotFound(message, kind="RouterInterfaceNotFound")
        if subnet_id and subnet_id not in {ip.subnet_id for ip in port.fixed_ips}:
            message = f"Subnet on port {port_id} does not match the requested subnet {subnet_id}."
            raise faults.bad("SubnetMismatchForPort", message)
        return port
    port = next((one for one in plugged if subnet_id in {ip.subnet_id for ip in one.fixed_ips}), None)
    if port is None:
        message = f"Router {router.id} has no interface on subnet {subnet_id}"
        raise NotFound(message, kind="RouterInterfaceNotFoundForSubnet")
    return port


def _check_routes(session: Session, router: Router, routes: list[dict[str, str]]) -> None:
    if len(routes) > MAX_ROUTES:
        raise faults.bad("RoutesExhausted", f"Unable to complete operation for {router.id}. The number of routes "
                         f"exceeds the maximum {MAX_ROUTES}.")  # fmt: skip
    rows = session.execute(
        select(Subnet.cidr, PortIp.address).join(PortIp, PortIp.subnet_id == Subnet.id)
        .join(Port, Port.id == PortIp.port_id).where(Port.router_id == router.id)
    ).all()  # fmt: skip
    cidrs, own = [ipam.cidr_of(cidr) for cidr, _ in rows], {address for _, address in rows}
    for route in routes:
        reason = None
        if not any(ipaddress.ip_address(route["nexthop"]) in cidr for cidr in cidrs):
            reason = "the nexthop is not connected with router"
        elif route["nexthop"] in own:
            reason = "the nexthop is used by router"
        if reason:
            raise faults.bad("InvalidRoutes", f"Invalid format for routes: {routes}, {reason}")


def change_routes(
    session: Session, context: Context, router: Router, routes: list[dict[str, str]], *, add: bool
) -> Router:
    """Adds routes to those that are there, or takes some away (extraroute-atomic)."""
    if add:
        wanted = router.routes + [route for route in routes if route not in router.routes]
    else:
        wanted = [route for route in router.routes if route not in routes]
    return update(session, context, router, {"routes": wanted})


def remove(session: Session, context: Context, router: Router) -> None:
    """Deletes a router without interfaces; its host learns what to take away."""
    if interfaces(session, router):
        raise faults.conflict("RouterInUse", f"Router {router.id} still has ports")
    port = gateway_port(session, router)
    left, host, id_ = _leaving(session, router, port), router.host, router.id
    if port is not None:
        _refuse_floating(session, router, port.network_id)
        session.delete(port)
        session.flush()
    session.delete(router)
    session.flush()
    if host:
        by = jobs.origin(context)
        jobs.apply_router(session, by, id_, host=host, left_networks=left)
        for section in left:
            jobs.left_host(session, by, section["id"], host)
