"""Subnets: ranges, gateways, pools; what they change for DHCP and routers."""

from __future__ import annotations

import ipaddress
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from api.http.context import Context
from api.network import dhcp, faults, ipam, jobs, quotas, subnetpools
from api.network.models import (
    DHCP_OWNER,
    FLOATING_OWNER,
    Network,
    Port,
    PortIp,
    PortSecurityGroup,
    Subnet,
    SubnetPool,
    of_guests,
)
from api.network.networks import IPV6_MIN_MTU, removal_args

MAX_POOLS = 100


def create(session: Session, context: Context, network: Network, values: dict[str, Any]) -> Subnet:
    """A new subnet of `network`; DHCP learns of it where the network has guests."""
    _take_from_pool(session, context, network, values)
    cidr = ipam.cidr_of(values["cidr"])
    if cidr.version != values["ip_version"]:
        raise faults.invalid_input(f"cidr '{cidr}' does not match the ip_version '{values['ip_version']}'")
    if cidr.prefixlen == 0:
        raise faults.invalid_input("0 is not allowed as CIDR prefix length")
    _check_modes(values, cidr)
    if cidr.version == 6 and network.mtu < IPV6_MIN_MTU:
        raise faults.small_mtu(network.id, network.mtu)
    if "gateway_ip" not in values:
        values["gateway_ip"] = _first_host(cidr)
    _check_gateway(values["gateway_ip"], cidr)
    values["allocation_pools"] = _pools(values.get("allocation_pools"), cidr, values["gateway_ip"])
    _check_servers(values, cidr)
    values |= {key: values.get(key) or [] for key in ("dns_nameservers", "host_routes")}
    quotas.lock(session, f"network-addresses:{network.id}")
    for other in ipam.subnets_of(session, network.id):
        if ipam.cidr_of(other.cidr).overlaps(cidr):
            raise faults.invalid_input(
                f"Requested subnet with cidr: {cidr} for network: {network.id} overlaps with another subnet"
            )
    quotas.reserve(session, values["project_id"], "subnet")
    subnet = Subnet(**values)
    session.add(subnet)
    session.flush()
    if subnet.is_automatic:
        _give_automatic(session, context, network, subnet)
    refresh_dhcp(session, jobs.origin(context), network, subnet)
    return subnet


def _give_automatic(session: Session, context: Context, network: Network, subnet: Subnet) -> None:
    """The network's guests make themselves an address as soon as they hear of the prefix: their ports have it."""
    query = select(Port).where(Port.network_id == network.id, *of_guests(), Port.device_owner != FLOATING_OWNER)
    for port in session.scalars(query.options(selectinload(Port.fixed_ips))):
        address = ipam.eui64(subnet, port.mac_address)
        number = ipam.number_of(ipaddress.ip_address(address))
        port.fixed_ips.append(PortIp(subnet_id=subnet.id, address=address, number=number,
                                     position=len(port.fixed_ips)))  # fmt: skip
        port.bump()
    session.flush()
    _tell_filters(session, context, subnet)


def _tell_filters(session: Session, context: Context, subnet: Subnet) -> None:
    """Hosts whose filters hold addresses of the subnet learn of their coming or going."""
    with_address = select(PortIp.port_id).where(PortIp.subnet_id == subnet.id)
    hosts = set(session.scalars(select(Port.host).where(Port.id.in_(with_address), Port.host != "", *of_guests())))
    members = select(PortSecurityGroup.security_group_id).where(PortSecurityGroup.port_id.in_(with_address))
    hosts |= jobs.hosts_of_groups(session, session.scalars(members.distinct()), remote_only=True)
    jobs.apply_filters(session, jobs.origin(context), hosts, [("subnet", subnet.id)])


def _take_from_pool(session: Session, context: Context, network: Network, values: dict[str, Any]) -> None:
    """Replaces what a request says of a pool by the range that is cut from it."""
    pool = _pool(session, context, values)
    length = values.pop("prefixlen", None)
    if pool is None:
        if not values.get("cidr"):
            message = "Bad subnets request: a subnetpool must be specified in the absence of a cidr."
            raise faults.bad("BadRequest", message)
        if length is not None:
            raise faults.bad("BadRequest", "Bad subnets request: prefixlen is for subnets of a subnetpool.")
        return
    if pool.ip_version != values["ip_version"]:
        raise faults.bad("BadRequest", f"Bad subnets request: Cannot allocate IPv{values['ip_version']} subnet from "
                         f"IPv{pool.ip_version} subnet pool.")  # fmt: skip
    if not values.get("cidr") and values.get("allocation_pools"):
        message = "Bad subnets request: allocation_pools allowed only for specific subnet requests."
        raise faults.bad("BadRequest", message)
    for other in ipam.subnets_of(session, network.id):
        if other.ip_version == pool.ip_version and other.subnetpool_id not in (None, pool.id):
            raise faults.bad("NetworkSubnetPoolAffinityError", "Subnets hosted on the same network must be allocated "
                             "from the same subnet pool.")  # fmt: skip
    values["cidr"] = subnetpools.cut(session, pool, values["project_id"], values.get("cidr"), length)
    values["subnetpool_id"] = pool.id


def _pool(session: Session, context: Context, values: dict[str, Any]) -> SubnetPool | None:
    wanted, by_default = values.pop("subnetpool_id", None), values.pop("use_default_subnetpool", False)
    if wanted and by_default:
        message = "Bad subnets request: subnetpool_id and use_default_subnetpool cannot both be specified."
        raise faults.bad("BadRequest", message)
    if wanted:
        pool = session.get(SubnetPool, wanted)
        if pool is None or not (pool.shared or pool.project_id == context.project_id or context.is_admin
                                or pool.is_default):  # fmt: skip
            raise faults.not_found("subnetpool", wanted)
        return pool
    if not by_default:
        return None
    pool = subnetpools.default_pool(session, values["ip_version"])
    if pool is None:
        raise faults.bad("BadRequest", f"Bad subnets request: No default subnetpool found for "
                         f"IPv{values['ip_version']}.")  # fmt: skip
    return pool


def _first_host(cidr: ipam.Cidr) -> str:
    if cidr.prefixlen >= cidr.max_prefixlen - 1:
        return str(cidr.network_address)
    return str(cidr.network_address + 1)


def _check_modes(values: dict[str, Any], cidr: ipam.Cidr) -> None:
    ra, address = values.get("ipv6_ra_mode"), values.get("ipv6_address_mode")
    if not ra and not address:
        return
    if cidr.version == 4:
        raise faults.invalid_input("ipv6_ra_mode and ipv6_address_mode are not valid when ip_version is 4")
    if not values.get("enable_dhcp", True):
        raise faults.invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    if ra and address and ra != address:
        raise faults.invalid_input(
            f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. If both attributes "
            "are set, they must be the same value"
        )
    if cidr.prefixlen != 64 and {ra, address} & {"slaac", "dhcpv6-stateless"}:
        raise faults.invalid_input(f"Invalid CIDR {cidr} for IPv6 address mode. OpenStack uses the EUI-64 address "
                                   "format, which requires the prefix to be /64")  # fmt: skip


def _check_gateway(text: str | None, cidr: ipam.Cidr) -> None:
    if text is None:
        return
    gateway = ipaddress.ip_address(text)
    edge = cidr.version == 4 and cidr.prefixlen < 31 and gateway in (cidr.network_address, cidr.broadcast_address)
    link_local = gateway.version == 6 and gateway.is_link_local
    if gateway.version != cidr.version or edge or not (gateway in cidr or link_local):
        raise faults.invalid_input("Gateway is not valid on subnet")


def _check_servers(values: dict[str, Any], cidr: ipam.Cidr) -> None:
    for address in values.get("dns_nameservers") or []:
        if ipaddress.ip_address(address).version != cidr.version:
            raise faults.invalid_input(f"dns_nameserver '{address}' does not match the ip_version '{cidr.version}'")
    for route in values.get("host_routes") or []:
        if {ipam.cidr_of(route["destination"]).version, ipaddress.ip_address(route["nexthop"]).version} != {
            cidr.version
        }:
            raise faults.invalid_input(f"host_route {route['destination']} does not match the ip_version "
                                       f"'{cidr.version}'")  # fmt: skip


def _pools(wanted: list[dict[str, str]] | None, cidr: ipam.Cidr, gateway: str | None) -> list[dict[str, str]]:
    if not wanted:
        return _whole(cidr, gateway)
    if len(wanted) > MAX_POOLS:
        raise faults.invalid_input(f"at most {MAX_POOLS} allocation pools are possible")
    ranges: list[tuple[int, int, str]] = []
    for pool in wanted:
        start, end = ipaddress.ip_address(pool["start"]), ipaddress.ip_address(pool["end"])
        text = f"{start}-{end}"
        if start.version != cidr.version or end.version != cidr.version or int(start) > int(end):
            raise faults.bad("InvalidAllocationPool", f"The allocation pool {text} is not valid.")
        first, last = _bounds(cidr)
        if int(start) < first or int(end) > last:
            message = f"The allocation pool {text} spans beyond the subnet cidr {cidr}."
            raise faults.bad("OutOfBoundsAllocationPool", message)
        for low, high, other in ranges:
            if int(start) <= high and low <= int(end):
                message = f"Found overlapping allocation pools: {other} {text} for subnet {cidr}."
                raise faults.conflict("OverlappingAllocationPools", message)
        if gateway and start.version == ipaddress.ip_address(gateway).version and (
            int(start) <= int(ipaddress.ip_address(gateway)) <= int(end)
        ):
            message = f"Gateway ip {gateway} conflicts with allocation pool {text}."
            raise faults.conflict("GatewayConflictWithAllocationPools", message)
        ranges.append((int(start), int(end), text))
    return wanted


def _bounds(cidr: ipam.Cidr) -> tuple[int, int]:
    first, last = int(cidr.network_address), int(cidr.broadcast_address)
    if cidr.prefixlen >= cidr.max_prefixlen - 1:
        return first, last
    return first + 1, last - 1 if cidr.version == 4 else last


def _whole(cidr: ipam.Cidr, gateway: str | None) -> list[dict[str, str]]:
    first, last = _bounds(cidr)
    pools = [(first, last)]
    if gateway and (address := ipaddress.ip_address(gateway)) in cidr:
        pools = [(first, int(address) - 1), (int(address) + 1, last)]
    make = type(cidr.network_address)
    return [{"start": str(make(low)), "end": str(make(high))} for low, high in pools if low <= high]


def refresh_dhcp(session: Session, by: jobs.Origin, network: Network, subnet: Subnet) -> None:
    """Brings DHCP in step with the network's subnets, where the network has guests or has DHCP already."""
    guests = select(Port.id).where(Port.network_id == network.id, Port.host != "",
                                   *of_guests()).limit(1)  # fmt: skip
    host = network.dhcp_host
    if host is None and session.scalar(guests) is None:
        return
    section = removal_args(session, network, host or "")
    dhcp.ensure_dhcp(session, by, network)
    session.flush()
    because = [("subnet", subnet.id)]
    if network.dhcp_host is None and host is not None:
        jobs.apply_network(session, by, network.id, because, **section)
    else:
        jobs.apply_network(session, by, network.id, because)


def update(session: Session, context: Context, subnet: Subnet, values: dict[str, Any]) -> Subnet:
    """Changes a subnet; DHCP and the routers on it learn of it."""
    cidr = ipam.cidr_of(subnet.cidr)
    _check_servers(values, cidr)
    for key in ("dns_nameservers", "host_routes"):
        if key in values:
            values[key] = values[key] or []
    gateway = values.get("gateway_ip", subnet.gateway_ip)
    if "gateway_ip" in values and gateway != subnet.gateway_ip:
        _check_gateway(gateway, cidr)
        _refuse_gateway_in_use(session, subnet)
    if "allocation_pools" in values or "gateway_ip" in values:
        pools = values["allocation_pools"] if values.get("allocation_pools") else subnet.allocation_pools
        values["allocation_pools"] = _pools(pools, cidr, gateway)
    if values.get("enable_dhcp") is False and (subnet.ipv6_ra_mode or subnet.ipv6_address_mode):
        raise faults.invalid_input("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
    concerns_hosts = any(key in values and values[key] != getattr(subnet, key) for key in
                         ("gateway_ip", "enable_dhcp", "dns_nameservers", "host_routes"))  # fmt: skip
    for key, value in values.items():
        setattr(subnet, key, value)
    subnet.bump()
    session.flush()
    if concerns_hosts:
        by, network = jobs.origin(context), session.get_one(Network, subnet.network_id)
        refresh_dhcp(session, by, network, subnet)
        for router_id in _gateway_routers(session, subnet):
            jobs.apply_router(session, by, router_id, [("subnet", subnet.id)])
    return subnet


def _refuse_gateway_in_use(session: Session, subnet: Subnet) -> None:
    query = select(PortIp.port_id).join(Port, Port.id == PortIp.port_id).where(
        PortIp.subnet_id == subnet.id, PortIp.address == subnet.gateway_ip, Port.router_id.is_not(None))  # fmt: skip
    if (port_id := session.scalar(query)) is not None:
        raise faults.conflict("GatewayIpInUse", f"Current gateway ip {subnet.gateway_ip} already in use by port "
                              f"{port_id}. Unable to update.")  # fmt: skip


def _gateway_routers(session: Session, subnet: Subnet) -> list[str]:
    query = select(Port.router_id).join(PortIp, PortIp.port_id == Port.id)
    found = session.scalars(query.where(PortIp.subnet_id == subnet.id, Port.router_id.is_not(None)).distinct())
    return [router_id for router_id in found if router_id]


def remove(session: Session, context: Context, subnet: Subnet) -> None:
    """Deletes a subnet of which no port but DHCP's has an address."""
    taken = select(PortIp.port_id).join(Port, Port.id == PortIp.port_id).where(
        PortIp.subnet_id == subnet.id, Port.device_owner != DHCP_OWNER)  # fmt: skip
    ids = list(session.scalars(taken.limit(2000)))
    if ids and not (subnet.is_automatic and not _router_on(session, subnet)):
        raise faults.subnet_in_use(subnet.id, "One or more ports have an IP allocation from this subnet")
    if subnet.is_automatic:
        _tell_filters(session, context, subnet)
    for ip in session.scalars(select(PortIp).where(PortIp.subnet_id == subnet.id)):
        session.delete(ip)
    network, by = session.get_one(Network, subnet.network_id), jobs.origin(context)
    session.flush()
    session.expire_all()
    session.delete(subnet)
    session.flush()
    refresh_dhcp(session, by, network, subnet)


def _router_on(session: Session, subnet: Subnet) -> bool:
    return bool(_gateway_routers(session, subnet))
