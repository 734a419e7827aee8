"""The network service's tables. Statuses are OpenStack's; actions and observers write what hosts report."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.db.base import Base, Json, new_uuid, utcnow

ACTIVE, DOWN, ERROR = "ACTIVE", "DOWN", "ERROR"

TRANSITIONS: dict[str, dict[str, set[str]]] = {
    "port": {DOWN: {ACTIVE}, ACTIVE: {DOWN}},
    "router": {ACTIVE: {ERROR}, ERROR: {ACTIVE}},
    "floatingip": {DOWN: {ACTIVE, ERROR}, ACTIVE: {DOWN, ERROR}, ERROR: {ACTIVE, DOWN}},
}  # fmt: skip

DHCP_OWNER = "network:dhcp"
INTERFACE_OWNER = "network:router_interface"
GATEWAY_OWNER = "network:router_gateway"
FLOATING_OWNER = "network:floatingip"
COMPUTE_OWNER = "compute:"


class Standard:
    """What every resource has (Neutron's standard attributes)."""

    id: Mapped[str] = mapped_column(primary_key=True, default=new_uuid)
    project_id: Mapped[str] = mapped_column(default="", index=True)
    description: Mapped[str] = mapped_column(default="")
    revision_number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)

    def bump(self) -> None:
        """Notes a change: the next revision, now."""
        self.revision_number += 1
        self.updated_at = utcnow()


def move(resource: Any, kind: str, status: str) -> bool:
    """Sets a status as TRANSITIONS allows; whether it changed. ValueError for a transition that does not exist."""
    if resource.status == status:
        return False
    if status not in TRANSITIONS[kind][resource.status]:
        raise ValueError(f"{kind} {resource.id} cannot go from {resource.status} to {status}")
    resource.status = status
    resource.bump()
    return True


class Network(Standard, Base):
    """A layer 2 network. `zone` is its connection-tracking zone on every host, 1..65535."""

    __tablename__ = "networks"
    __table_args__ = (UniqueConstraint("segmentation_id"), UniqueConstraint("physical_network"),
                      UniqueConstraint("zone"))  # fmt: skip

    name: Mapped[str] = mapped_column(default="", index=True)
    status: Mapped[str] = mapped_column(default=ACTIVE)
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    shared: Mapped[bool] = mapped_column(default=False)
    external: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    mtu: Mapped[int]
    port_security_enabled: Mapped[bool] = mapped_column(default=True)
    dns_domain: Mapped[str] = mapped_column(default="")
    availability_zone_hints: Mapped[list[Any]] = mapped_column(default=list)
    network_type: Mapped[str]
    physical_network: Mapped[str | None]
    segmentation_id: Mapped[int | None]
    zone: Mapped[int]
    dhcp_host: Mapped[str | None]

    @property
    def bridge(self) -> str:
        """The bridge's name on hosts, where the network has one of its own."""
        return f"brq{self.id[:11]}"


class Subnet(Standard, Base):
    """A range of addresses of a network. Pools are `{"start", "end"}`, inclusive."""

    __tablename__ = "subnets"

    network_id: Mapped[str] = mapped_column(ForeignKey("networks.id"), index=True)
    name: Mapped[str] = mapped_column(default="")
    ip_version: Mapped[int]
    cidr: Mapped[str]
    gateway_ip: Mapped[str | None]
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    allocation_pools: Mapped[list[Any]] = mapped_column(default=list)
    dns_nameservers: Mapped[list[Any]] = mapped_column(default=list)
    host_routes: Mapped[list[Any]] = mapped_column(default=list)
    ipv6_ra_mode: Mapped[str | None]
    ipv6_address_mode: Mapped[str | None]
    subnetpool_id: Mapped[str | None] = mapped_column(index=True)

    @property
    def is_automatic(self) -> bool:
        """Whether guests make their addresses themselves (SLAAC), so that ports take them from their MAC."""
        return self.ip_version == 6 and self.ipv6_address_mode in ("slaac", "dhcpv6-stateless")


class SubnetPool(Standard, Base):
    """Prefixes from which subnets are cut. A default one serves its IP version where no pool is named."""

    __tablename__ = "subnetpools"

    name: Mapped[str] = mapped_column(default="")
    ip_version: Mapped[int]
    prefixes: Mapped[list[Any]] = mapped_column(default=list)
    min_prefixlen: Mapped[int]
    max_prefixlen: Mapped[int]
    default_prefixlen: Mapped[int]
    default_quota: Mapped[int | None]
    shared: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)


class Port(Standard, Base):
    """A plug of a network. `host` is where it is bound.

    `router_id` is set on a router's own ports and no others, `server_id` on those that compute plugged into a server:
    `device_id` and `device_owner` are what tenants may write. `link_up` is what the host last told of its tap.
    """

    __tablename__ = "ports"
    __table_args__ = (UniqueConstraint("network_id", "mac_address"), Index("ix_ports_device_id", "device_id"),
                      Index("ix_ports_host_network", "host", "network_id"))  # fmt: skip

    network_id: Mapped[str] = mapped_column(ForeignKey("networks.id"))
    name: Mapped[str] = mapped_column(default="")
    mac_address: Mapped[str]
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default=DOWN)
    device_id: Mapped[str] = mapped_column(default="")
    device_owner: Mapped[str] = mapped_column(default="")
    server_id: Mapped[str | None] = mapped_column(index=True)
    link_up: Mapped[bool] = mapped_column(default=False)
    port_security_enabled: Mapped[bool] = mapped_column(default=True)
    allowed_address_pairs: Mapped[list[Any]] = mapped_column(default=list)
    host: Mapped[str] = mapped_column(default="")
    vnic_type: Mapped[str] = mapped_column(default="normal")
    profile: Mapped[Json] = mapped_column(default=dict)
    dns_name: Mapped[str] = mapped_column(default="")
    extra_dhcp_opts: Mapped[list[Any]] = mapped_column(default=list)
    router_id: Mapped[str | None] = mapped_column(ForeignKey("routers.id", use_alter=True), index=True)
    made_by_server: Mapped[bool] = mapped_column(default=False)
    device_tag: Mapped[str | None]
    hostname: Mapped[str] = mapped_column(default="")
    fixed_ips: Mapped[list[PortIp]] = relationship(
        cascade="all, delete-orphan", order_by="PortIp.position", back_populates="port"
    )
    groups: Mapped[list[PortSecurityGroup]] = relationship(
        cascade="all, delete-orphan", order_by="PortSecurityGroup.position"
    )

    @property
    def tap(self) -> str:
        """The tap device's name on the host."""
        return f"tap{self.id[:11]}"

    def show_link(self, up: bool) -> None:
        """Notes whether the tap is up; a port that is administratively down stays DOWN."""
        self.link_up = up
        move(self, "port", ACTIVE if up and self.admin_state_up else DOWN)


def of_guests() -> tuple[ColumnElement[bool], ...]:
    """The ports behind which tenants' systems are: all but routers' and DHCP's own."""
    return Port.router_id.is_(None), Port.device_owner != DHCP_OWNER


class PortIp(Base):
    """An address of a port. `number` orders addresses within a subnet: see ipam.number_of()."""

    __tablename__ = "port_ips"
    __table_args__ = (UniqueConstraint("subnet_id", "address"),
                      Index("ix_port_ips_subnet_number", "subnet_id", "number"))  # fmt: skip

    port_id: Mapped[str] = mapped_column(ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True)
    subnet_id: Mapped[str] = mapped_column(ForeignKey("subnets.id"), primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int] = mapped_column(default=0)
    port: Mapped[Port] = relationship(back_populates="fixed_ips")


class Router(Standard, Base):
    """A router; `host` is chosen when it first has something to route. Its ports name it in `Port.router_id`."""

    __tablename__ = "routers"

    name: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default=ACTIVE)
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    availability_zone_hints: Mapped[list[Any]] = mapped_column(default=list)
    routes: Mapped[list[Any]] = mapped_column(default=list)
    enable_snat: Mapped[bool] = mapped_column(default=True)
    gateway_network_id: Mapped[str | None] = mapped_column(ForeignKey("networks.id"), index=True)
    host: Mapped[str | None]


class AutoTopology(Base):
    """The network and the router that a project was given when it asked for none."""

    __tablename__ = "auto_topologies"

    project_id: Mapped[str] = mapped_column(primary_key=True)
    network_id: Mapped[str] = mapped_column(ForeignKey("networks.id", ondelete="CASCADE"))
    router_id: Mapped[str] = mapped_column(ForeignKey("routers.id", ondelete="CASCADE"))


class FloatingIp(Standard, Base):
    """An address of an external network, held by the port `floating_port_id`, standing for a fixed address or none."""

    __tablename__ = "floatingips"
    __table_args__ = (UniqueConstraint("port_id", "fixed_ip_address", "floating_network_id"),)

    floating_network_id: Mapped[str] = mapped_column(ForeignKey("networks.id"))
    floating_ip_address: Mapped[str] = mapped_column(index=True)
    floating_port_id: Mapped[str] = mapped_column(ForeignKey("ports.id"), unique=True)
    router_id: Mapped[str | None] = mapped_column(ForeignKey("routers.id"), index=True)
    port_id: Mapped[str | None] = mapped_column(ForeignKey("ports.id"))
    fixed_ip_address: Mapped[str | None]
    status: Mapped[str] = mapped_column(default=DOWN)
    dns_name: Mapped[str] = mapped_column(default="")
    dns_domain: Mapped[str] = mapped_column(default="")


class SecurityGroup(Standard, Base):
    """A set of rules. `default_of` is the project whose default group this is: one each."""

    __tablename__ = "security_groups"
    __table_args__ = (UniqueConstraint("default_of"),)

    name: Mapped[str] = mapped_column(default="")
    stateful: Mapped[bool] = mapped_column(default=True)
    default_of: Mapped[str | None]


class SecurityGroupRule(Standard, Base):
    """What a group lets through. Port ranges are inclusive; for ICMP they are type and code."""

    __tablename__ = "security_group_rules"

    security_group_id: Mapped[str] = mapped_column(ForeignKey("security_groups.id", ondelete="CASCADE"), index=True)
    direction: Mapped[str]
    ethertype: Mapped[str]
    protocol: Mapped[str | None]
    port_range_min: Mapped[int | None]
    port_range_max: Mapped[int | None]
    remote_ip_prefix: Mapped[str | None]
    remote_group_id: Mapped[str | None] = mapped_column(
        ForeignKey("security_groups.id", ondelete="CASCADE"), index=True
    )


class PortSecurityGroup(Base):
    """A port is a member of a group."""

    __tablename__ = "port_security_groups"

    port_id: Mapped[str] = mapped_column(ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True)
    security_group_id: Mapped[str] = mapped_column(ForeignKey("security_groups.id"), primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)


class Tag(Base):
    """A tag of any resource of this service."""

    __tablename__ = "network_tags"

    resource_id: Mapped[str] = mapped_column(primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)


class Quota(Base):
    """A project's own limit for a kind of resource; -1 means none."""

    __tablename__ = "network_quotas"

    project_id: Mapped[str] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    limit: Mapped[int]
