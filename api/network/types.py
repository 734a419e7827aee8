"""What other services see of the network (docs/contracts.md, "network")."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RequestedPort:
    """What a server wants to be plugged into: a network (with an address or any) or a port that exists."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


@dataclass(frozen=True)
class NetworkView:
    """A network that a server may be plugged into. MTU in bytes."""

    id: str
    name: str
    mtu: int
    subnet_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FixedIp:
    """An address of a port; `version` is 4 or 6."""

    address: str
    version: int
    subnet_id: str


@dataclass(frozen=True)
class FloatingView:
    """A floating address and the fixed address that it stands for."""

    address: str
    fixed_address: str


@dataclass(frozen=True)
class PortView:
    """A server's port. `security_groups` holds (id, name). MTU in bytes."""

    id: str
    network_id: str
    network_name: str
    mac: str
    mtu: int
    tap: str
    tag: str | None
    fixed_ips: list[FixedIp]
    floating_ips: list[FloatingView]
    security_groups: list[tuple[str, str]]
    made_by_server: bool
    status: str
    server_id: str = ""
    host: str = ""
    bridge: str = ""
    project_id: str = ""


@dataclass(frozen=True)
class DetachedPort:
    """What plan_detach() needs of a port whose row is gone; kept in a job's args with dataclasses.asdict()."""

    id: str
    network_id: str
    tap: str
    bridge: str
    network_type: str = "vxlan"
    vni: int | None = None
    mtu: int = 1500
    mac: str = ""
    physical_network: str | None = None
