"""The kinds of resources: table, view, filters, who sees what, who makes and unmakes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.network import faults, floatingips, groups, networks, ports, routers, subnetpools, subnets, views
from api.network.models import (
    FloatingIp,
    Network,
    Port,
    PortSecurityGroup,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
)
from api.network.schemas import BODIES, Body

Target = dict[str, Any]
Visible = Callable[[str], ColumnElement[bool]]


@dataclass(frozen=True)
class Kind:
    """One kind. `columns` are the attributes to filter and sort by; `visible` restricts rows to what a project sees."""

    name: str
    table: type[Any]
    view: Callable[[Any, views.Extras], views.View]
    columns: dict[str, Any]
    visible: Visible
    target: Callable[[Session, Any], Target]
    update: Callable[[Session, Context, Any, dict[str, Any]], Any] | None
    remove: Callable[[Session, Context, Any], None]

    @property
    def body(self) -> Body:
        """What requests may hold."""
        return BODIES[self.name]

    def seen_by(self, context: Context) -> Select[Any]:
        """The rows that the caller may know of."""
        query = select(self.table)
        return query if context.is_admin else query.where(self.visible(context.project_id or ""))

    def get(self, session: Session, context: Context, id_: str) -> Any:
        """The row of that id; 404 when there is none or it is not the caller's to see."""
        row = session.scalars(self.seen_by(context).where(self.table.id == id_)).one_or_none()
        if row is None:
            raise faults.not_found(self.name, id_)
        return row


def _columns(table: type[Any], *names: str, **renamed: str) -> dict[str, Any]:
    common = ("id", "project_id", "description", "revision_number", "created_at", "updated_at")
    found = {name: getattr(table, name) for name in (*common, *names)}
    found["tenant_id"] = table.project_id
    return found | {name.replace("__", ":"): getattr(table, column) for name, column in renamed.items()}


def _seen_networks(project_id: str) -> ColumnElement[bool]:
    return or_(Network.project_id == project_id, Network.shared, Network.external)


def _own(table: type[Any]) -> Visible:
    return lambda project_id: table.project_id == project_id


def owner(row: Any) -> Target:
    """The policy target of a resource that has nothing above it."""
    return {"project_id": row.project_id, "tenant_id": row.project_id}


def network_target(network: Network) -> Target:
    """What rules about a network's parts ask of the network."""
    return {"network:project_id": network.project_id, "shared": network.shared, "router:external": network.external}


def _of_network(session: Session, row: Any) -> Target:
    target = owner(row) | network_target(session.get_one(Network, row.network_id))
    return target | {"device_owner": row.device_owner} if isinstance(row, Port) else target


def _of_group(session: Session, row: SecurityGroupRule) -> Target:
    return owner(row) | {"security_group:project_id": session.get_one(SecurityGroup, row.security_group_id).project_id}


_ALL = [
    Kind("network", Network, views.network, _columns(
        Network, "name", "status", "admin_state_up", "shared", "mtu", "port_security_enabled", "dns_domain",
        "is_default", router__external="external", provider__network_type="network_type",
        provider__physical_network="physical_network", provider__segmentation_id="segmentation_id"),
        _seen_networks, lambda _session, row: owner(row) | {"shared": row.shared, "router:external": row.external},
        networks.update, networks.remove),
    Kind("subnet", Subnet, views.subnet, _columns(
        Subnet, "name", "network_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "ipv6_ra_mode",
        "ipv6_address_mode", "subnetpool_id"),
        lambda project_id: or_(Subnet.project_id == project_id,
                               Subnet.network_id.in_(select(Network.id).where(_seen_networks(project_id)))),
        _of_network, subnets.update, subnets.remove),
    Kind("subnetpool", SubnetPool, views.subnetpool, _columns(
        SubnetPool, "name", "ip_version", "min_prefixlen", "max_prefixlen", "default_prefixlen", "default_quota",
        "shared", "is_default"),
        lambda project_id: or_(SubnetPool.project_id == project_id, SubnetPool.shared),
        lambda _session, row: owner(row) | {"shared": row.shared}, subnetpools.update, subnetpools.remove),
    Kind("port", Port, views.port, _columns(
        Port, "name", "network_id", "status", "admin_state_up", "mac_address", "device_id", "device_owner",
        "port_security_enabled", "dns_name", binding__host_id="host", binding__vnic_type="vnic_type"),
        lambda project_id: or_(Port.project_id == project_id, Port.network_id.in_(
            select(Network.id).where(Network.project_id == project_id))),
        _of_network, ports.update, ports.remove),
    Kind("router", Router, views.router, _columns(Router, "name", "status", "admin_state_up"), _own(Router),
         lambda _session, row: owner(row), routers.update, routers.remove),
    Kind("floatingip", FloatingIp, views.floatingip, _columns(
        FloatingIp, "floating_network_id", "floating_ip_address", "router_id", "port_id", "fixed_ip_address",
        "status"), _own(FloatingIp), lambda _session, row: owner(row), floatingips.update, floatingips.remove),
    Kind("security_group", SecurityGroup, views.security_group, _columns(SecurityGroup, "name", "stateful"),
         _own(SecurityGroup), lambda _session, row: owner(row), groups.update, groups.remove),
    Kind("security_group_rule", SecurityGroupRule, views.security_group_rule, _columns(
        SecurityGroupRule, "security_group_id", "direction", "ethertype", "protocol", "port_range_min",
        "port_range_max", "remote_ip_prefix", "remote_group_id"),
        lambda project_id: SecurityGroupRule.security_group_id.in_(
            select(SecurityGroup.id).where(SecurityGroup.project_id == project_id)),
        _of_group, None, groups.remove_rule),
]  # fmt: skip
KINDS = {kind.name: kind for kind in _ALL}

ADMIN_COLUMNS = frozenset({"provider:network_type", "provider:physical_network", "provider:segmentation_id",
                           "binding:host_id"})  # fmt: skip


def in_group(group_ids: list[str]) -> ColumnElement[bool]:
    """Ports that are members of any of these groups."""
    members = select(PortSecurityGroup.port_id).where(PortSecurityGroup.security_group_id.in_(group_ids))
    return Port.id.in_(members)
