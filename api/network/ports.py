"""Ports as tenants make, change and delete them."""

from __future__ import annotations

import ipaddress
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.network import dhcp, dhcp_options, faults, groups, ipam, jobs, plan, quotas
from api.network.models import (
    DHCP_OWNER,
    FLOATING_OWNER,
    GATEWAY_OWNER,
    INTERFACE_OWNER,
    FloatingIp,
    Network,
    Port,
    SecurityGroup,
    Subnet,
)
from api.network.networks import removal_args
from api.network.servers import delete_port_rows

MAX_FIXED_IPS = 5
MAX_ADDRESS_PAIRS = 10
_OURS = (DHCP_OWNER, FLOATING_OWNER)
_ROUTERS = (INTERFACE_OWNER, GATEWAY_OWNER)
_FILTERED = {"security_groups", "fixed_ips", "allowed_address_pairs", "port_security_enabled", "admin_state_up", "host"}
_SERVED = {"dns_name", "fixed_ips", "extra_dhcp_opts", "mac_address", "host"}
"""What of a port is in its host's filter, and what is known to its network's DHCP."""


def create(session: Session, context: Context, network: Network, values: dict[str, Any]) -> Port:
    """A new port with addresses of the network's subnets and the project's default group, unless told otherwise."""
    project_id = values["project_id"]
    quotas.reserve(session, project_id, "port")
    quotas.lock(session, f"network-addresses:{network.id}")
    wanted_groups = values.pop("security_groups", None)
    fixed_ips = values.pop("fixed_ips", None)
    host = values.pop("host", None) or ""
    _refuse_ours(values.setdefault("device_owner", ""))
    values.setdefault("port_security_enabled", network.port_security_enabled)
    mac = values["mac_address"] = _mac(session, network, values.get("mac_address"))
    values["profile"] = values.get("profile") or {}
    values["extra_dhcp_opts"] = dhcp_options.merged([], values.get("extra_dhcp_opts") or [])
    values["allowed_address_pairs"] = _pairs(values.get("allowed_address_pairs") or [], mac)
    if fixed_ips is not None and len(fixed_ips) > MAX_FIXED_IPS:
        raise faults.invalid_input("Exceeded maximum amount of fixed ips per port")
    port = Port(**values)
    for_router = port.device_owner in _ROUTERS
    subnets = ipam.subnets_of(session, network.id)
    ipam.store(port, ipam.choose(session, network, subnets, fixed_ips, mac, for_router=for_router))
    _guard(session, context, port, wanted_groups, new=True)
    session.add(port)
    session.flush()
    if host:
        jobs.join_host(session, jobs.origin(context), port, host)
        _tell_hosts(session, context, port, filtered=True, served=True)
    return port


def _refuse_ours(device_owner: str) -> None:
    """By these owners we know our own ports again."""
    if device_owner in _OURS:
        raise faults.invalid(f"Invalid input for device_owner. Reason: {device_owner} is for the service's own ports.")


def _mac(session: Session, network: Network, wanted: str | None) -> str:
    if wanted is None:
        return ipam.new_mac(session, network.id)
    query = select(Port.id).where(Port.network_id == network.id, Port.mac_address == wanted)
    if session.scalar(query) is not None:
        message = f"Unable to complete operation for network {network.id}. The mac address {wanted} is in use."
        raise faults.conflict("MacAddressInUse", message)
    return wanted


def _pairs(wanted: list[dict[str, Any]], mac: str) -> list[dict[str, str]]:
    if len(wanted) > MAX_ADDRESS_PAIRS:
        message = f"The number of allowed address pair exceeds the maximum {MAX_ADDRESS_PAIRS}."
        raise faults.bad("AllowedAddressPairExhausted", message)
    pairs = [{"ip_address": pair["ip_address"], "mac_address": pair.get("mac_address") or mac} for pair in wanted]
    for index, pair in enumerate(pairs):
        if pair in pairs[:index]:
            raise faults.bad("DuplicateAddressPairInRequest", "Request contains duplicate address pair: mac_address "
                             f"{pair['mac_address']} ip_address {pair['ip_address']}.")  # fmt: skip
    return pairs


def _guard(session: Session, context: Context, port: Port, wanted: list[str] | None, *, new: bool) -> None:
    """Groups and port security must fit together."""
    trusted = port.device_owner.startswith("network:")
    if wanted:
        if not port.port_security_enabled:
            raise faults.conflict("PortSecurityPortHasSecurityGroup", "Port has security group associated. Cannot "
                                  "disable port security or IP address until security group is removed.")  # fmt: skip
        if not port.fixed_ips:
            raise faults.invalid_input("Port security must be enabled and port must have an IP address in order to "
                                       "use security groups", "PortSecurityAndIPRequiredForSecurityGroups")  # fmt: skip
        query = select(SecurityGroup.id).where(SecurityGroup.id.in_(wanted))
        if not context.is_admin:
            query = query.where(SecurityGroup.project_id == context.project_id)
        known = set(session.scalars(query))
        if missing := [id_ for id_ in wanted if id_ not in known]:
            raise faults.not_found("security_group", missing[0])
        groups.put(port, wanted)
    elif wanted is not None:
        groups.put(port, [])
    elif new and port.port_security_enabled and not trusted:
        groups.put(port, [groups.ensure_default(session, port.project_id)])
    if not port.port_security_enabled and port.groups:
        raise faults.conflict("PortSecurityPortHasSecurityGroup", "Port has security group associated. Cannot disable "
                              "port security or IP address until security group is removed.")  # fmt: skip
    if port.allowed_address_pairs and not port.port_security_enabled:
        raise faults.conflict("AddressPairAndPortSecurityRequired", "Port Security must be enabled in order to have "
                              "allowed address pairs on a port.")  # fmt: skip


def update(session: Session, context: Context, port: Port, values: dict[str, Any]) -> Port:
    """Changes a port; the hosts whose DHCP or filter it concerns learn of it."""
    network = session.get_one(Network, port.network_id)
    wanted_groups = (values.pop("security_groups") or []) if "security_groups" in values else None
    if values.get("device_owner", port.device_owner) != port.device_owner:
        _refuse_ours(values["device_owner"])
    if "extra_dhcp_opts" in values:
        values["extra_dhcp_opts"] = dhcp_options.merged(port.extra_dhcp_opts, values["extra_dhcp_opts"] or [])
    filtered = bool(_FILTERED & values.keys()) or wanted_groups is not None
    served = bool(_SERVED & values.keys())
    before = {membership.security_group_id for membership in port.groups}
    left_host = port.host
    if (mac := values.get("mac_address")) is not None and mac != port.mac_address:
        if port.host:
            raise faults.conflict("PortBound", f"Unable to complete operation on port {port.id}, port is already "
                                  f"bound, port type: bridge, old_mac {port.mac_address}, new_mac {mac}.")  # fmt: skip
        _mac(session, network, mac)
        port.mac_address = mac
        if "fixed_ips" not in values:
            values["fixed_ips"] = _without_automatic(session, port)
    if "fixed_ips" in values:
        _readdress(session, network, port, values.pop("fixed_ips") or [])
    if "allowed_address_pairs" in values:
        values["allowed_address_pairs"] = _pairs(values["allowed_address_pairs"] or [], mac or port.mac_address)
    if "profile" in values:
        values["profile"] = values["profile"] or {}
    host = (values.pop("host") or "") if "host" in values else port.host
    for key, value in values.items():
        setattr(port, key, value)
    _guard(session, context, port, wanted_groups, new=False)
    if port.router_id is None or not port.admin_state_up:
        port.show_link(port.link_up)
    port.bump()
    session.flush()
    if host != port.host:
        jobs.join_host(session, jobs.origin(context), port, host)
        session.flush()
        if left_host:
            _leave(session, context, port, left_host)
    if port.host:
        _tell_hosts(session, context, port, filtered=filtered, served=served, groups_before=before)
    return port


def _without_automatic(session: Session, port: Port) -> list[dict[str, Any]]:
    """The port's addresses as a request for them, without those that follow from its MAC address."""
    return [{"subnet_id": ip.subnet_id, "ip_address": ip.address} for ip in port.fixed_ips
            if not session.get_one(Subnet, ip.subnet_id).is_automatic]  # fmt: skip


def _readdress(session: Session, network: Network, port: Port, wanted: list[dict[str, Any]]) -> None:
    if len(wanted) > MAX_FIXED_IPS:
        raise faults.invalid_input("Exceeded maximum amount of fixed ips per port")
    quotas.lock(session, f"network-addresses:{network.id}")
    had = {ip.subnet_id: ip.address for ip in port.fixed_ips}
    explicit = [item if "ip_address" in item or item.get("subnet_id") not in had
                else {**item, "ip_address": had[item["subnet_id"]]} for item in wanted]  # fmt: skip
    subnets = ipam.subnets_of(session, network.id)
    chosen = ipam.choose(session, network, subnets, explicit, port.mac_address, keep=port.fixed_ips,
                         for_router=port.router_id is not None)  # fmt: skip
    gone = {ip.address for ip in port.fixed_ips} - {address for _, address in chosen}
    held = select(FloatingIp.id).where(FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address.in_(gone))
    if session.scalar(held.limit(1)) is not None:
        raise faults.conflict("FipAssociated", f"Unable to complete the operation on port {port.id} because the port "
                              "still has an associated floating IP.")  # fmt: skip
    ipam.store(port, chosen)


def _tell_hosts(
    session: Session, context: Context, port: Port, *, filtered: bool, served: bool,
    groups_before: set[str] | None = None,
) -> None:  # fmt: skip
    by, because = jobs.origin(context), [("port", port.id)]
    if port.router_id:
        if filtered or served:
            jobs.apply_router(session, by, port.router_id, because)
    elif port.device_owner != DHCP_OWNER:
        served |= dhcp.ensure_dhcp(session, by, session.get_one(Network, port.network_id))
        if filtered:
            concerned = {membership.security_group_id for membership in port.groups} | (groups_before or set())
            remote = jobs.hosts_of_groups(session, concerned, remote_only=True)
            jobs.apply_filters(session, by, {port.host} | remote, because)
    if served:
        jobs.apply_network(session, by, port.network_id, because)


def _leave(session: Session, context: Context, port: Port, host: str) -> None:
    """Takes a port's tap off a host that it left, with the network when that was the last there."""
    by, because = jobs.origin(context), [("port", port.id)]
    network = session.get_one(Network, port.network_id)
    gone = {"id": port.id, "tap": port.tap, "mac": port.mac_address, "mtu": network.mtu, "kind": "tap",
            "bridge": plan.bridge_on(network, plan.variables_of(session).get(host, {})), "state": "absent"}  # fmt: skip
    jobs.apply_network(session, by, network.id, because, **removal_args(session, network, host), gone_ports=[gone])
    jobs.apply_filters(session, by, [host], because)


def remove(session: Session, context: Context, port: Port) -> None:
    """Deletes a port, unless it is a router's, a floating IP's or DHCP's own."""
    if port.router_id or port.device_owner in _OURS:
        raise faults.conflict("ServicePortInUse", f"Port {port.id} cannot be deleted directly via the port API: has "
                              f"device owner {port.device_owner}.")  # fmt: skip
    by = jobs.origin(context)
    remote = jobs.hosts_of_groups(session, [one.security_group_id for one in port.groups], remote_only=True)
    if port.host:
        _leave(session, context, port, port.host)
        jobs.apply_filters(session, by, remote - {port.host}, [("port", port.id)])
    delete_port_rows(session, by, port)
    session.flush()


def fixed_ip_filter(text: str) -> tuple[str, str]:
    """`ip_address=10.0.0.5` of a list's query as (key, value)."""
    key, _, value = text.partition("=")
    if key not in ("ip_address", "subnet_id", "ip_address_substr") or not value:
        raise faults.invalid(f"Invalid fixed_ips filter '{text}'. Use ip_address=, ip_address_substr= or subnet_id=")
    if key == "ip_address":
        try:
            value = str(ipaddress.ip_address(value))
        except ValueError:
            raise faults.invalid(f"'{value}' is not a valid IP address") from None
    return key, value
