"""Changing resource providers: names, trees, inventories, traits, aggregates, each under the provider's generation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.db.base import new_uuid, utcnow
from api.db.hosts import Host
from api.http.faults import BadRequest, NotFound
from api.placement import names, trees
from api.placement.faults import (
    CONCURRENT_UPDATE,
    DUPLICATE_NAME,
    HAS_CHILDREN,
    INVENTORY_IN_USE,
    PROVIDER_IN_USE,
    PROVIDER_NOT_FOUND,
    conflict,
)
from api.placement.models import Allocation, Inventory, ProviderAggregate, ProviderTrait, ResourceProvider

DEFAULTS: dict[str, int | float] = {"reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1,
                                    "allocation_ratio": 1.0}  # fmt: skip
Described = dict[str, dict[str, Any]]
"""Resource class -> the fields of its inventory; what is left out is as in DEFAULTS."""


def get(session: Session, provider_id: str, *, lock: bool = False) -> ResourceProvider:
    """One provider's row; 404 when there is none. `lock`: nobody else changes it before the transaction ends."""
    query = select(ResourceProvider).where(ResourceProvider.id == provider_id)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound(f"No resource provider with uuid {provider_id} found", kind=PROVIDER_NOT_FOUND)
    return found


def check_generation(row: ResourceProvider, generation: int | None) -> None:
    """409 when the caller has seen another state of the provider than this one."""
    if generation is not None and generation != row.generation:
        raise conflict(
            f"resource provider generation conflict for {row.id}: actual: {row.generation}, given: {generation}",
            CONCURRENT_UPDATE,
        )


def touch(row: ResourceProvider) -> None:
    """Notes that the provider changed."""
    row.generation += 1
    row.updated_at = utcnow()


def create(session: Session, name: str, provider_id: str | None, parent_id: str | None) -> ResourceProvider:
    """A new provider; 409 for a name or id that is taken, 400 for a parent that there is not."""
    _check_name(session, name)
    if provider_id is not None:
        taken = session.scalar(select(ResourceProvider.id).where(ResourceProvider.id == provider_id))
        if taken is not None:
            raise conflict(f"Conflicting resource provider uuid: {provider_id} already exists.", DUPLICATE_NAME)
    made = ResourceProvider(id=provider_id or new_uuid(), name=name)
    if parent_id is not None:
        if parent_id == made.id:
            raise BadRequest("parent provider UUID cannot be same as UUID.")
        _check_parent(session, parent_id)
        made.parent_id = parent_id
    session.add(made)
    session.flush()
    return made


def _check_name(session: Session, name: str) -> None:
    if session.scalar(select(ResourceProvider.id).where(ResourceProvider.name == name)) is not None:
        raise conflict(f"Conflicting resource provider name: {name} already exists.", DUPLICATE_NAME)


def _check_parent(session: Session, parent_id: str) -> None:
    if session.scalar(select(ResourceProvider.id).where(ResourceProvider.id == parent_id)) is None:
        raise BadRequest(f"parent provider UUID does not exist: {parent_id}")


def rename(session: Session, row: ResourceProvider, name: str) -> None:
    """Another name. A compute host's provider is called as the host is."""
    if name == row.name:
        return
    if session.get(Host, row.name) is not None:
        raise conflict(f"{row.name} is a host of the inventory and keeps its name: change the name there.")
    _check_name(session, name)
    row.name = name
    row.updated_at = utcnow()


def reparent(session: Session, row: ResourceProvider, parent_id: str | None, *, free: bool) -> None:
    """Another parent. `free`: it may change or go (from 1.37 on); else it may only be set once. 400 for a loop."""
    if parent_id == row.parent_id:
        return
    if row.parent_id is not None and not free:
        raise BadRequest("re-parenting a provider is not currently allowed; from microversion 1.37 on it is.")
    if parent_id is not None:
        _check_parent(session, parent_id)
        if parent_id in trees.subtree(trees.load(session), row.id):
            raise BadRequest("creating loop in the provider tree is not allowed.")
    row.parent_id = parent_id
    row.updated_at = utcnow()


def remove(session: Session, row: ResourceProvider) -> None:
    """Deletes a provider without children and claims. A compute host's stays as long as the inventory has the host."""
    if session.scalar(select(ResourceProvider.id).where(ResourceProvider.parent_id == row.id).limit(1)):
        raise conflict(
            f"Unable to delete parent resource provider {row.id}: It has child resource providers.", HAS_CHILDREN
        )
    if session.scalar(select(Allocation.consumer_id).where(Allocation.provider_id == row.id).limit(1)):
        raise conflict(
            f"Unable to delete resource provider {row.id}: Resource provider has allocations.", PROVIDER_IN_USE
        )
    if session.get(Host, row.name) is not None:
        raise conflict(f"{row.name} is a host of the inventory: remove the host there.", PROVIDER_IN_USE)
    for table in (Inventory, ProviderTrait, ProviderAggregate):
        session.execute(delete(table).where(table.provider_id == row.id))
    session.delete(row)


def checked(session: Session, described: Described, *, reserve_all: bool) -> Described:
    """Inventories with their defaults. `reserve_all`: everything may be reserved (from 1.26 on). 400: a bad one."""
    names.check_classes(session, described)
    full = {name: {**DEFAULTS, **fields} for name, fields in described.items()}
    for name, fields in full.items():
        too_much = fields["reserved"] > fields["total"] if reserve_all else fields["reserved"] >= fields["total"]
        if too_much:
            raise BadRequest(f"Unable to update inventory for {name}: reserved is larger than total can bear.")
    return full


def set_inventories(session: Session, row: ResourceProvider, described: Described, *, guard: bool = True) -> None:
    """Makes a provider's inventories exactly these. `guard`: 409 when one goes of which somebody holds some."""
    have = {
        item.resource_class: item for item in session.scalars(select(Inventory).where(Inventory.provider_id == row.id))
    }
    gone = set(have) - set(described)
    if guard:
        check_unused(session, row, gone)
    for name in gone:
        session.delete(have[name])
    for name, fields in described.items():
        put_inventory(session, row, name, fields, have.get(name))
    touch(row)
    session.flush()


def put_inventory(
    session: Session, row: ResourceProvider, name: str, fields: dict[str, Any], have: Inventory | None
) -> None:
    """One inventory, made or changed."""
    if have is None:
        session.add(Inventory(provider_id=row.id, resource_class=name, **fields))
        return
    for key, value in fields.items():
        setattr(have, key, value)


def check_unused(session: Session, row: ResourceProvider, classes: set[str]) -> None:
    """409 when somebody holds some of these."""
    query = select(Allocation.resource_class).distinct().where(Allocation.provider_id == row.id)
    used = sorted(session.scalars(query.where(Allocation.resource_class.in_(classes))))
    if used:
        raise conflict(f"Inventory for '{', '.join(used)}' on resource provider '{row.id}' in use.", INVENTORY_IN_USE)


def set_traits(session: Session, provider: trees.Provider, row: ResourceProvider, wanted: set[str]) -> None:
    """The traits that an operator gives; those that are known of a host's facts are there anyway."""
    names.check_traits(session, wanted)
    kept = wanted - provider.of_facts
    if kept == provider.given_traits:
        return
    session.execute(delete(ProviderTrait).where(ProviderTrait.provider_id == row.id))
    session.add_all(ProviderTrait(provider_id=row.id, trait=name) for name in sorted(kept))
    touch(row)


def set_aggregates(session: Session, row: ResourceProvider, wanted: set[str], *, count: bool) -> None:
    """The aggregates that a provider is in. `count`: the generation goes up (from 1.19 on)."""
    session.execute(delete(ProviderAggregate).where(ProviderAggregate.provider_id == row.id))
    session.add_all(ProviderAggregate(provider_id=row.id, aggregate_id=name) for name in sorted(wanted))
    row.updated_at = utcnow()
    row.generation += count
