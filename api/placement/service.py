"""What placement means: capacity of hosts, claims on it, and the view of both that a scheduler needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import utcnow
from api.db.hosts import DOWN_AFTER_S, Host
from api.http.context import Context
from api.placement import claims
from api.placement.claims import Claim
from api.placement.faults import NoCapacity as NoCapacity
from api.placement.models import DISK_GB, MEMORY_MB, VCPU, Allocation, Consumer, Inventory, ResourceProvider

INSTANCE = "INSTANCE"
"""The consumer type of servers."""
RESERVED_MEMORY_MB = 512
"""Memory that guests never get: the host's own system and processes."""


@dataclass(slots=True)
class HostState:
    """A compute host as a scheduler sees it. Dictionaries are by resource class; `totals` are without the reserve."""

    host: str
    provider_id: str | None
    number: int | None
    availability_zone: str
    is_up: bool
    disabled: bool
    facts: dict[str, Any]
    totals: dict[str, int] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    def free(self, resource_class: str) -> int:
        """What may still be claimed, the allocation ratio counted in; 0 for a class that the host has not."""
        limit = int(self.totals.get(resource_class, 0) * self.ratios.get(resource_class, 1.0))
        return limit - self.used.get(resource_class, 0)


def zone_of(host: Host) -> str:
    """The host's availability zone: the inventory's, else the default one."""
    return _zone(host.variables)


def _zone(variables: dict[str, Any]) -> str:
    zone = variables.get("stratiform_availability_zone")
    return str(zone) if zone else settings().compute.default_availability_zone


_DECIDING_FACTS = (
    Host.facts["virt_type"].as_string(), Host.facts["hypervisor_up"].as_boolean(),
    Host.facts[("cpu_info", "arch")].as_string(),
)  # fmt: skip


def candidates(session: Session, *, all_facts: bool = False) -> list[HostState]:
    """Every compute host of the inventory, by name, also those that can take nothing: the caller says why not.

    Unless `all_facts`, of a host's facts only those that decide on placement are read: with a thousand hosts, whose
    processors have a hundred flags each, that is most of the time.
    """
    now = utcnow()
    states: dict[str, HostState] = {}
    by_provider: dict[str, HostState] = {}
    query = (
        select(Host.name, Host.groups, Host.variables, Host.heartbeat_at, ResourceProvider.id, ResourceProvider.number,
               ResourceProvider.disabled, *((Host.facts,) if all_facts else _DECIDING_FACTS))
        .outerjoin(ResourceProvider, ResourceProvider.name == Host.name)
        .order_by(Host.name)
    )  # fmt: skip
    for name, groups, variables, heartbeat_at, provider_id, number, disabled, *rest in session.execute(query):
        if "compute" not in groups:
            continue
        is_up = heartbeat_at is not None and (now - heartbeat_at).total_seconds() <= DOWN_AFTER_S
        facts = rest[0] if all_facts else {
            "virt_type": rest[0], "hypervisor_up": rest[1], "cpu_info": {"arch": rest[2]}}  # fmt: skip
        state = HostState(name, provider_id, number, _zone(variables), is_up, bool(disabled), facts)
        states[name] = state
        if provider_id:
            by_provider[provider_id] = state
    inventories = select(
        Inventory.provider_id, Inventory.resource_class, Inventory.total, Inventory.reserved, Inventory.allocation_ratio
    )
    for provider_id, resource_class, total, reserved, ratio in session.execute(inventories):
        if found := by_provider.get(provider_id):
            found.totals[resource_class] = total - reserved
            found.ratios[resource_class] = ratio
    used = select(Allocation.provider_id, Allocation.resource_class, func.sum(Allocation.used)).group_by(
        Allocation.provider_id, Allocation.resource_class
    )
    for provider_id, resource_class, amount in session.execute(used):
        if found := by_provider.get(provider_id):
            found.used[resource_class] = int(amount)
    return list(states.values())


def claim(session: Session, consumer_id: str, host: str, resources: dict[str, int], context: Context) -> None:
    """Claims amounts of a host for a server, in place of what it holds. NoCapacity; KeyError for an unknown host."""
    provider_id = session.scalar(select(ResourceProvider.id).where(ResourceProvider.name == host))
    if provider_id is None:
        raise KeyError(host)
    wanted = {name: amount for name, amount in resources.items() if amount > 0}
    whose = Claim(consumer_id, context.project_id or "", context.user_id, {provider_id: wanted}, INSTANCE)
    claims.replace(session, [whose])


def release(session: Session, consumer_id: str) -> None:
    """Gives back all that a consumer has claimed. Nothing claimed: nothing happens."""
    held = select(Allocation.provider_id).where(Allocation.consumer_id == consumer_id)
    for provider in session.scalars(select(ResourceProvider).where(ResourceProvider.id.in_(held))):
        provider.generation += 1
    session.execute(delete(Allocation).where(Allocation.consumer_id == consumer_id))
    session.execute(delete(Consumer).where(Consumer.id == consumer_id))


def usage(session: Session, host: str) -> dict[str, int]:
    """What is claimed of a host, by resource class."""
    query = (
        select(Allocation.resource_class, func.sum(Allocation.used))
        .join(ResourceProvider, ResourceProvider.id == Allocation.provider_id)
        .where(ResourceProvider.name == host)
        .group_by(Allocation.resource_class)
    )
    return {name: int(amount) for name, amount in session.execute(query)}


def set_disabled(session: Session, host: str, disabled: bool) -> None:
    """Notes whether an operator lets new claims go to the host."""
    provider = _provider_of(session, host)
    if provider.disabled != disabled:
        provider.disabled = disabled
        provider.generation += 1
        provider.updated_at = utcnow()


def sync_host(session: Session, host: str, facts: dict[str, Any]) -> None:
    """Brings a host's inventories to what it reports. Writes nothing while nothing changed."""
    known = session.get(Host, host)
    if known is None or "compute" not in known.groups:
        return
    ratios = settings().compute
    wanted = {
        VCPU: (facts.get("vcpus"), 0, ratios.cpu_allocation_ratio),
        MEMORY_MB: (facts.get("memory_mb"), RESERVED_MEMORY_MB, ratios.memory_allocation_ratio),
        DISK_GB: (facts.get("disk_gb"), 0, ratios.disk_allocation_ratio),
    }
    provider = _provider_of(session, host)
    have = {row.resource_class: row for row in _inventories(session, provider.id)}
    changed = False
    for name, (total, reserved, ratio) in wanted.items():
        if not isinstance(total, int) or total < 1:
            continue
        reserved = min(reserved, total - 1)
        row = have.get(name)
        if row is None:
            session.add(Inventory(provider_id=provider.id, resource_class=name, total=total, reserved=reserved,
                                  max_unit=total, allocation_ratio=ratio))  # fmt: skip
            changed = True
        elif (row.total, row.reserved, row.allocation_ratio) != (total, reserved, ratio):
            row.total, row.reserved, row.max_unit, row.allocation_ratio = total, reserved, total, ratio
            changed = True
    if changed:
        provider.generation += 1
        provider.updated_at = utcnow()


def _provider_of(session: Session, host: str) -> ResourceProvider:
    provider = session.scalar(select(ResourceProvider).where(ResourceProvider.name == host))
    if provider is None:
        provider = ResourceProvider(name=host)
        session.add(provider)
        session.flush()
    return provider


def _inventories(session: Session, provider_id: str) -> list[Inventory]:
    query = select(Inventory).where(Inventory.provider_id == provider_id).order_by(Inventory.resource_class)
    return list(session.scalars(query))
