"""Which jobs a change needs, and which hosts it concerns. A plan is read when its job runs, so it is current."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from api.db import hosts as host_table
from api.engine.actions import enqueue
from api.http.context import Context
from api.network import faults
from api.network.models import Network, Port, PortSecurityGroup, Router, SecurityGroupRule

NETWORK_APPLY = "network.network.apply"
ROUTER_APPLY = "network.router.apply"
FILTER_APPLY = "network.filter.apply"

Resource = tuple[str, str]


@dataclass(frozen=True)
class Origin:
    """Whose request a job is part of; `repair()` for what no request asked for."""

    request_id: str
    global_request_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None


def origin(context: Context) -> Origin:
    """The caller's request."""
    return Origin(context.request_id, context.global_request_id, context.user_id, context.project_id)


def repair() -> Origin:
    """A request of our own, for instance after a host's restart."""
    return Origin(f"req-{uuid.uuid4()}")


def _enqueue(session: Session, name: str, by: Origin, resources: list[Resource], args: dict[str, Any]) -> None:
    enqueue(session, name, resources=resources, args=args, request_id=by.request_id,
            global_request_id=by.global_request_id, user_id=by.user_id, project_id=by.project_id)  # fmt: skip


def apply_network(
    session: Session, by: Origin, network_id: str, because: Iterable[Resource] = (), **args: Any
) -> None:
    """Realises a network anew on the hosts where it is, with its DHCP; none where it is on no host."""
    if not args and not hosts_of_network(session, network_id):
        return
    _enqueue(session, NETWORK_APPLY, by, [("network", network_id), *because], {"network_id": network_id, **args})


def apply_router(session: Session, by: Origin, router_id: str, because: Iterable[Resource] = (), **args: Any) -> None:
    """Realises a router anew on its host; nothing when it never needed one."""
    if not args and session.scalar(select(Router.host).where(Router.id == router_id)) is None:
        return
    _enqueue(session, ROUTER_APPLY, by, [("router", router_id), *because], {"router_id": router_id, **args})


def apply_filters(session: Session, by: Origin, hosts: Iterable[str], because: Iterable[Resource] = ()) -> None:
    """Realises the whole port filter of each host anew."""
    for host in sorted(set(hosts)):
        _enqueue(session, FILTER_APPLY, by, [("filter", host), *because], {"host": host})


def left_host(session: Session, by: Origin, network_id: str, host: str) -> None:
    """Tells the other hosts of a network that `host` is no tunnel peer any more, if that is so."""
    remaining = hosts_of_network(session, network_id)
    if remaining and host not in remaining:
        apply_network(session, by, network_id)


def hosts_of_network(session: Session, network_id: str) -> set[str]:
    """Hosts on which a port of the network is bound."""
    query = select(Port.host).where(Port.network_id == network_id, Port.host != "").distinct()
    return set(session.scalars(query))


def hosts_of_groups(session: Session, group_ids: Iterable[str], *, remote_only: bool = False) -> set[str]:
    """Hosts whose filter depends on these groups: their members' hosts, and those of groups that trust them.

    With `remote_only` just the second: what a change of a group's members concerns beside the member's own host.
    """
    wanted = list(group_ids)
    if not wanted:
        return set()
    trusting = select(SecurityGroupRule.security_group_id).where(SecurityGroupRule.remote_group_id.in_(wanted))
    member_of: ColumnElement[bool] = PortSecurityGroup.security_group_id.in_(trusting)
    if not remote_only:
        member_of = or_(member_of, PortSecurityGroup.security_group_id.in_(wanted))
    query = select(Port.host).join(PortSecurityGroup, PortSecurityGroup.port_id == Port.id)
    return set(session.scalars(query.where(Port.host != "", member_of).distinct()))


def choose_host(session: Session, zones: list[str] | None = None) -> str:
    """The network host with the fewest networks and routers on it, one that is up before one that is not."""
    hosts = host_table.list_hosts(session, "network")
    if zones:
        hosts = [host for host in hosts if zone_of(host) in zones]
    if not hosts:
        raise faults.conflict("NoEligibleHost", "No host of the inventory group 'network' is known that could take it.")
    load: dict[str, int] = {host.name: 0 for host in hosts}
    for column in (Network.dhcp_host, Router.host):
        for name, count in session.execute(select(column, func.count()).where(column.is_not(None)).group_by(column)):
            if name in load:
                load[name] += count
    return min(hosts, key=lambda host: (not host.is_up(), load[host.name], host.name)).name


def zone_of(host: host_table.Host) -> str:
    """The availability zone of a network host."""
    return str(host.variables.get("stratiform_availability_zone") or "nova")


def join_host(session: Session, by: Origin, port: Port, host: str) -> bool:
    """Binds a port to a host; whether the network is new there (then the other hosts must learn of it)."""
    if not host:
        port.host = ""
        return False
    present = hosts_of_network(session, port.network_id)
    port.host = host
    if host in present:
        return False
    if present and session.get_one(Network, port.network_id).network_type == "vxlan":
        apply_network(session, by, port.network_id)
    return True
