"""Rows as clients see them. What a row alone does not tell (tags, a network's subnets, ...) is read once a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.config import settings
from api.db.hosts import Host
from api.http.context import Context
from api.http.responses import iso_seconds
from api.network import groups
from api.network.jobs import zone_of
from api.network.models import (
    GATEWAY_OWNER,
    FloatingIp,
    Network,
    Port,
    PortIp,
    PortSecurityGroup,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
    Tag,
)
from api.network.plan import host_name

View = dict[str, Any]


@dataclass
class Extras:
    """What the views of one page need beside the rows."""

    tags: dict[str, list[str]]
    is_admin: bool
    subnets: dict[str, list[str]] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)
    gateways: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    rules: dict[str, list[SecurityGroupRule]] = field(default_factory=dict)
    addresses: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)


def of_new(
    session: Session, context: Context, table: type[Any], rows: Sequence[Any], tags: dict[str, list[str]]
) -> Extras:
    """The extras of rows that were just made: most kinds cannot have any but their tags."""
    if table in (Router, SecurityGroup):
        return extras(session, context, table, rows)
    found = Extras(tags, context.is_admin)
    if table is Port:
        found.addresses = {row.id: [(ip.subnet_id, ip.address) for ip in row.fixed_ips] for row in rows}
        found.groups = {row.id: [membership.security_group_id for membership in row.groups] for row in rows}
    return found


def extras(session: Session, context: Context, table: type[Any], rows: Sequence[Any]) -> Extras:
    """Reads them, in a query or two for any number of rows."""
    ids = [row.id for row in rows]
    found = Extras(_tags(session, ids), context.is_admin)
    if not ids:
        return found
    if table is Network:
        found.subnets = _pairs(session, select(Subnet.network_id, Subnet.id).where(Subnet.network_id.in_(ids))
                               .order_by(Subnet.created_at, Subnet.id))  # fmt: skip
    if any(getattr(row, "dhcp_host" if table is Network else "host", None) for row in rows) and table is not Port:
        found.zones = {host.name: zone_of(host) for host in session.scalars(select(Host))}
    if table is Port:
        found.addresses = _pairs(session, select(PortIp.port_id, PortIp.subnet_id, PortIp.address)
                                 .where(PortIp.port_id.in_(ids)).order_by(PortIp.position))  # fmt: skip
        found.groups = _pairs(session, select(PortSecurityGroup.port_id, PortSecurityGroup.security_group_id)
                              .where(PortSecurityGroup.port_id.in_(ids))
                              .order_by(PortSecurityGroup.position))  # fmt: skip
    if table is Router:
        gateways: dict[str, list[dict[str, str]]] = defaultdict(list)
        query = select(Port.router_id, PortIp.subnet_id, PortIp.address).join(PortIp, PortIp.port_id == Port.id)
        query = query.where(Port.router_id.in_(ids), Port.device_owner == GATEWAY_OWNER).order_by(PortIp.position)
        for router_id, subnet_id, address in session.execute(query):
            gateways[router_id or ""].append({"subnet_id": subnet_id, "ip_address": address})
        found.gateways = gateways
    if table is SecurityGroup:
        found.rules = groups.rules_of(session, ids)
        found.tags |= _tags(session, [rule.id for rules in found.rules.values() for rule in rules])
    return found


def _tags(session: Session, ids: list[str]) -> dict[str, list[str]]:
    if not ids:
        return {}
    query = select(Tag.resource_id, Tag.tag).where(Tag.resource_id.in_(ids)).order_by(Tag.tag)
    return _pairs(session, query)


def _pairs(session: Session, query: Any) -> dict[str, list[Any]]:
    """First column -> the second, or the tuple of the others, in the query's order."""
    found: dict[str, list[Any]] = defaultdict(list)
    for key, *values in session.execute(query):
        found[key].append(values[0] if len(values) == 1 else tuple(values))
    return found


def _standard(row: Any, more: Extras) -> View:
    return {
        "id": row.id, "tenant_id": row.project_id, "project_id": row.project_id, "description": row.description,
        "tags": more.tags.get(row.id, []), "created_at": iso_seconds(row.created_at),
        "updated_at": iso_seconds(row.updated_at), "revision_number": row.revision_number,
    }  # fmt: skip


def network(row: Network, more: Extras) -> View:
    """A network; provider attributes for administrators alone."""
    view = _standard(row, more) | {
        "name": row.name, "status": row.status, "admin_state_up": row.admin_state_up, "shared": row.shared,
        "router:external": row.external, "mtu": row.mtu, "subnets": more.subnets.get(row.id, []),
        "port_security_enabled": row.port_security_enabled, "dns_domain": row.dns_domain,
        "availability_zone_hints": row.availability_zone_hints,
        "availability_zones": _zones(row.dhcp_host, more),
    }  # fmt: skip
    if row.external:
        view["is_default"] = row.is_default
    if more.is_admin:
        view |= {"provider:network_type": row.network_type, "provider:physical_network": row.physical_network,
                 "provider:segmentation_id": row.segmentation_id}  # fmt: skip
    return view


def _zones(host: str | None, more: Extras) -> list[str]:
    return [more.zones[host]] if host in more.zones else []


def subnet(row: Subnet, more: Extras) -> View:
    """A subnet."""
    return _standard(row, more) | {
        "name": row.name, "network_id": row.network_id, "ip_version": row.ip_version, "cidr": row.cidr,
        "gateway_ip": row.gateway_ip, "enable_dhcp": row.enable_dhcp, "allocation_pools": row.allocation_pools,
        "dns_nameservers": row.dns_nameservers, "host_routes": row.host_routes, "ipv6_ra_mode": row.ipv6_ra_mode,
        "ipv6_address_mode": row.ipv6_address_mode, "subnetpool_id": row.subnetpool_id,
    }  # fmt: skip


def subnetpool(row: SubnetPool, more: Extras) -> View:
    """A subnet pool."""
    return _standard(row, more) | {
        "name": row.name, "prefixes": row.prefixes, "ip_version": row.ip_version, "min_prefixlen": row.min_prefixlen,
        "max_prefixlen": row.max_prefixlen, "default_prefixlen": row.default_prefixlen,
        "default_quota": row.default_quota, "shared": row.shared, "is_default": row.is_default,
        "address_scope_id": None,
    }  # fmt: skip


def port(row: Port, more: Extras) -> View:
    """A port; where it is bound for administrators alone."""
    domain = settings().network.dns_domain
    fixed_ips = more.addresses.get(row.id, [])
    names = [(row.dns_name or host_name(address), address) for _, address in fixed_ips]
    view = _standard(row, more) | {
        "name": row.name, "network_id": row.network_id, "status": row.status, "admin_state_up": row.admin_state_up,
        "mac_address": row.mac_address, "device_id": row.device_id, "device_owner": row.device_owner,
        "fixed_ips": [{"subnet_id": subnet_id, "ip_address": address} for subnet_id, address in fixed_ips],
        "security_groups": more.groups.get(row.id, []),
        "allowed_address_pairs": row.allowed_address_pairs, "port_security_enabled": row.port_security_enabled,
        "binding:vnic_type": row.vnic_type, "extra_dhcp_opts": row.extra_dhcp_opts, "dns_name": row.dns_name,
        "dns_assignment": [{"hostname": name, "ip_address": address, "fqdn": f"{name}.{domain}"}
                           for name, address in names],
    }  # fmt: skip
    if more.is_admin:
        view |= {"binding:host_id": row.host, "binding:profile": row.profile,
                 "binding:vif_type": "bridge" if row.host else "unbound",
                 "binding:vif_details": {"port_filter": True} if row.host else {}}  # fmt: skip
    return view


def router(row: Router, more: Extras) -> View:
    """A router."""
    gateway = None
    if row.gateway_network_id:
        gateway = {"network_id": row.gateway_network_id, "enable_snat": row.enable_snat,
                   "external_fixed_ips": more.gateways.get(row.id, [])}  # fmt: skip
    return _standard(row, more) | {
        "name": row.name, "status": row.status, "admin_state_up": row.admin_state_up,
        "external_gateway_info": gateway, "routes": row.routes, "availability_zone_hints": row.availability_zone_hints,
        "availability_zones": _zones(row.host, more),
    }  # fmt: skip


def floatingip(row: FloatingIp, more: Extras) -> View:
    """A floating IP."""
    return _standard(row, more) | {
        "floating_network_id": row.floating_network_id, "floating_ip_address": row.floating_ip_address,
        "router_id": row.router_id, "port_id": row.port_id, "fixed_ip_address": row.fixed_ip_address,
        "status": row.status, "dns_name": row.dns_name, "dns_domain": row.dns_domain,
    }  # fmt: skip


def security_group(row: SecurityGroup, more: Extras) -> View:
    """A security group with its rules."""
    return _standard(row, more) | {
        "name": row.name, "stateful": row.stateful, "shared": False,
        "security_group_rules": [security_group_rule(rule, more) for rule in more.rules.get(row.id, [])],
    }  # fmt: skip


def security_group_rule(row: SecurityGroupRule, more: Extras) -> View:
    """A rule."""
    return _standard(row, more) | {
        "security_group_id": row.security_group_id, "direction": row.direction, "ethertype": row.ethertype,
        "protocol": row.protocol, "port_range_min": row.port_range_min, "port_range_max": row.port_range_max,
        "remote_ip_prefix": row.remote_ip_prefix, "normalized_cidr": row.remote_ip_prefix,
        "remote_group_id": row.remote_group_id,
    }  # fmt: skip
