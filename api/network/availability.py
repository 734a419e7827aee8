"""How many addresses networks have and how many are taken (Neutron's network-ip-availability)."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.network import ipam
from api.network.models import Network, PortIp, Subnet


def of_networks(session: Session, network_ids: list[str] | None = None) -> list[dict[str, Any]]:
    """Each network with its subnets, in two queries. A subnet's total is that of its pools and what lies beside."""
    used = select(PortIp.subnet_id, func.count().label("used")).group_by(PortIp.subnet_id).subquery()
    subnets: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = select(Subnet, func.coalesce(used.c.used, 0)).outerjoin(used, used.c.subnet_id == Subnet.id)
    for subnet, count in session.execute(rows.order_by(Subnet.created_at, Subnet.id)):
        subnets[subnet.network_id].append({
            "subnet_id": subnet.id, "subnet_name": subnet.name, "cidr": subnet.cidr, "ip_version": subnet.ip_version,
            "total_ips": _total(subnet), "used_ips": count})  # fmt: skip
    query = select(Network.id, Network.name, Network.project_id).order_by(Network.created_at, Network.id)
    if network_ids is not None:
        query = query.where(Network.id.in_(network_ids))
    return [
        {"network_id": row.id, "network_name": row.name, "tenant_id": row.project_id, "project_id": row.project_id,
         "subnet_ip_availability": subnets[row.id], "total_ips": sum(one["total_ips"] for one in subnets[row.id]),
         "used_ips": sum(one["used_ips"] for one in subnets[row.id])}
        for row in session.execute(query)
    ]  # fmt: skip


def _total(subnet: Subnet) -> int:
    if not subnet.allocation_pools:
        return ipam.cidr_of(subnet.cidr).num_addresses
    return sum(int(ipaddress.ip_address(pool["end"])) - int(ipaddress.ip_address(pool["start"])) + 1
               for pool in subnet.allocation_pools)  # fmt: skip
