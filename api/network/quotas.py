"""Quotas: counted from the resources in the transaction that adds one, never stored."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, text
from sqlalchemy.orm import Session

from api.network import faults
from api.network.models import (
    FloatingIp,
    Network,
    Port,
    Quota,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
)

DEFAULTS = {"network": 100, "subnet": 100, "port": 500, "router": 10, "floatingip": 50, "security_group": 10,
            "security_group_rule": 100, "subnetpool": -1}  # fmt: skip
"""Neutron's own defaults."""

_TABLES: dict[str, type[Any]] = {
    "network": Network, "subnet": Subnet, "port": Port, "router": Router, "floatingip": FloatingIp,
    "security_group": SecurityGroup, "security_group_rule": SecurityGroupRule, "subnetpool": SubnetPool}


def _own_and_used(table: type[Any]) -> Select[Any]:
    own = select(Quota.limit).where(Quota.project_id == bindparam("project"), Quota.resource == bindparam("resource"))
    count = select(func.count()).select_from(table).where(table.project_id == bindparam("project"))
    return select(own.scalar_subquery(), count.scalar_subquery())


_OWN_AND_USED = {resource: _own_and_used(table) for resource, table in _TABLES.items()}
"""Made once: each creation asks this, so it must be cheap."""


def lock(session: Session, name: str) -> None:
    """Keeps others from deciding on the same thing until commit. On SQLite a write transaction has no others."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


def used(session: Session, project_id: str, resource: str) -> int:
    """How many the project has."""
    table = _TABLES[resource]
    return session.scalar(select(func.count()).select_from(table).where(table.project_id == project_id)) or 0


def reserve(session: Session, project_id: str, resource: str, adding: int = 1) -> None:
    """Raises OverQuota unless the project may have that many more. Resources without a project are not counted."""
    if not project_id:
        return
    lock(session, f"network-quota:{project_id}")
    own, count = session.execute(_OWN_AND_USED[resource], {"project": project_id, "resource": resource}).one()
    limit = DEFAULTS[resource] if own is None else own
    if limit >= 0 and count + adding > limit:
        raise faults.over_quota([resource])


def limits(session: Session, project_id: str) -> dict[str, int]:
    """All limits of a project."""
    own = session.execute(select(Quota.resource, Quota.limit).where(Quota.project_id == project_id))
    return DEFAULTS | {row.resource: row.limit for row in own}


def details(session: Session, project_id: str) -> dict[str, dict[str, int]]:
    """Limits with what is used."""
    return {
        resource: {"limit": limit, "used": used(session, project_id, resource), "reserved": 0}
        for resource, limit in limits(session, project_id).items()
    }


def projects(session: Session) -> list[str]:
    """Projects that have limits of their own."""
    return list(session.scalars(select(Quota.project_id).distinct().order_by(Quota.project_id)))


def store(session: Session, project_id: str, wanted: dict[str, int], *, check: bool = False) -> dict[str, int]:
    """Sets limits of a project and returns all of them; with `check` none below what is used."""
    if check:
        under = [name for name, limit in wanted.items() if 0 <= limit < used(session, project_id, name)]
        if under:
            message = f"Change would make usage less than 0 for the following resources: {under}."
            raise faults.conflict("InvalidQuotaValue", message)
    for resource, limit in wanted.items():
        session.merge(Quota(project_id=project_id, resource=resource, limit=limit))
    session.flush()
    return limits(session, project_id)


def reset(session: Session, project_id: str) -> None:
    """Gives the project the default limits again."""
    session.execute(delete(Quota).where(Quota.project_id == project_id))
