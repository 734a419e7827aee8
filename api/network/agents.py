"""Agents: what each host of the inventory does for networks, alive as its heartbeat tells."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.db.hosts import Host, list_hosts
from api.network import faults
from api.network.jobs import zone_of
from api.network.models import Network, Port, Router

_TYPES = {
    "DHCP agent": ("stratiform-dhcp", "network", "dhcp_agent"),
    "L3 agent": ("stratiform-l3", "network", "l3_agent"),
    "Metadata agent": ("stratiform-metadata", "network", "N/A"),
    "Linux bridge agent": ("stratiform-bridge", "", "N/A"),
}  # fmt: skip
_FORMAT = "%Y-%m-%d %H:%M:%S"


def all_agents(session: Session) -> list[dict[str, Any]]:
    """Every host's agents: its network roles, and the bridges that every network and compute host has."""
    counts = {
        "DHCP agent": _count(session, Network.dhcp_host, "networks"),
        "L3 agent": _count(session, Router.host, "routers"),
        "Linux bridge agent": _count(session, Port.host, "devices"),
    }
    return [
        _agent(host, type_, counts.get(type_, {}).get(host.name, {}))
        for host in list_hosts(session) for type_, (_, group, _) in _TYPES.items()
        if group in host.groups or (not group and {"network", "compute"} & set(host.groups))
    ]  # fmt: skip


def _count(session: Session, column: Any, name: str) -> dict[str, dict[str, int]]:
    rows = session.execute(select(column, func.count()).where(column.is_not(None)).group_by(column))
    return {host: {name: count} for host, count in rows}


def _agent(host: Host, type_: str, configurations: dict[str, int]) -> dict[str, Any]:
    binary, group, topic = _TYPES[type_]
    seen = host.heartbeat_at or host.created_at
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{type_}.{host.name}")), "agent_type": type_, "binary": binary,
        "host": host.name, "topic": topic, "alive": host.is_up(), "admin_state_up": True, "description": None,
        "availability_zone": zone_of(host) if group else None, "created_at": host.created_at.strftime(_FORMAT),
        "started_at": host.created_at.strftime(_FORMAT), "heartbeat_timestamp": seen.strftime(_FORMAT),
        "configurations": configurations, "resources_synced": None,
    }  # fmt: skip


def one_agent(session: Session, id_: str) -> dict[str, Any]:
    """The agent of that id."""
    for agent in all_agents(session):
        if agent["id"] == id_:
            return agent
    raise faults.not_found("agent", id_)


def availability_zones(session: Session) -> list[dict[str, str]]:
    """The zones of network hosts, for networks and routers."""
    up: dict[str, bool] = {}
    for host in list_hosts(session, "network"):
        up[zone_of(host)] = up.get(zone_of(host), False) or host.is_up()
    return [{"name": name, "resource": resource, "state": "available" if is_up else "unavailable"}
            for name, is_up in sorted(up.items()) for resource in ("network", "router")]  # fmt: skip
