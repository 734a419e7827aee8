"""What consumers hold, as the API reads and writes it: generations of consumers, usages of projects, reshaping."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.http.faults import NotFound
from api.placement import claims, names, providers
from api.placement.claims import Amounts, Claim
from api.placement.faults import CONCURRENT_UPDATE, conflict
from api.placement.models import Allocation, Consumer, Inventory, ResourceProvider

NOBODY = "00000000-0000-0000-0000-000000000000"
"""Project and user of a claim that told none (until 1.7)."""
UNKNOWN_TYPE = "unknown"
UNCHECKED = object()
"""A consumer generation that the caller does not tell (until 1.27)."""


def of_consumer(session: Session, consumer_id: str) -> tuple[Consumer | None, dict[str, dict[str, Any]]]:
    """The consumer, and by provider what it holds with the provider's generation."""
    found: dict[str, dict[str, Any]] = {}
    query = (
        select(Allocation.provider_id, ResourceProvider.generation, Allocation.resource_class, Allocation.used)
        .join(ResourceProvider, ResourceProvider.id == Allocation.provider_id)
        .where(Allocation.consumer_id == consumer_id)
        .order_by(ResourceProvider.number, Allocation.resource_class)
    )
    for provider_id, generation, name, used in session.execute(query):
        entry = found.setdefault(provider_id, {"resources": {}, "generation": generation})
        entry["resources"][name] = used
    return session.get(Consumer, consumer_id), found


def of_provider(session: Session, provider_id: str) -> dict[str, dict[str, Any]]:
    """By consumer what is held of a provider, with the consumer's generation."""
    found: dict[str, dict[str, Any]] = {}
    query = (
        select(Allocation.consumer_id, Consumer.generation, Allocation.resource_class, Allocation.used)
        .join(Consumer, Consumer.id == Allocation.consumer_id)
        .where(Allocation.provider_id == provider_id)
        .order_by(Allocation.consumer_id, Allocation.resource_class)
    )
    for consumer_id, generation, name, used in session.execute(query):
        entry = found.setdefault(consumer_id, {"resources": {}, "consumer_generation": generation})
        entry["resources"][name] = used
    return found


def write(session: Session, wanted: list[tuple[Claim, object]]) -> None:
    """Makes consumers hold exactly this; 409 when a consumer's generation is another one, or when it does not fit.

    With each claim stands the generation that the caller saw (None: there was no such consumer; UNCHECKED: not told).
    """
    names.check_classes(
        session, {name for claim, _ in wanted for amounts in claim.amounts.values() for name in amounts}
    )
    known: dict[str, int] = {}
    query = select(Consumer.id, Consumer.generation).where(Consumer.id.in_([claim.consumer_id for claim, _ in wanted]))
    for consumer_id, generation in session.execute(query):
        known[consumer_id] = generation
    for claim, seen in wanted:
        actual = known.get(claim.consumer_id)
        if seen is not UNCHECKED and seen != actual:
            raise conflict(
                f"consumer generation conflict - expected {_text(actual)} but got {_text(seen)}", CONCURRENT_UPDATE
            )
    claims.replace(session, [claim for claim, _ in wanted])


def _text(generation: object) -> str:
    return "null" if generation is None else str(generation)


def release(session: Session, consumer_id: str) -> None:
    """Gives back all that a consumer holds; 404 when that is nothing."""
    if session.scalar(select(Allocation.consumer_id).where(Allocation.consumer_id == consumer_id).limit(1)) is None:
        raise NotFound(f"No allocations for consumer '{consumer_id}'")
    claims.replace(session, [Claim(consumer_id, NOBODY, NOBODY, {})])


def usages(session: Session, project_id: str, user_id: str | None) -> dict[str, int]:
    """What a project (or one user in it) holds in all, by resource class."""
    query = (
        select(Allocation.resource_class, func.sum(Allocation.used))
        .join(Consumer, Consumer.id == Allocation.consumer_id)
        .where(Consumer.project_id == project_id)
        .group_by(Allocation.resource_class)
    )
    if user_id is not None:
        query = query.where(Consumer.user_id == user_id)
    return {name: int(amount) for name, amount in session.execute(query)}


def usages_by_type(
    session: Session, project_id: str, user_id: str | None, consumer_type: str | None
) -> dict[str, dict[str, int]]:
    """The same by consumer type with the number of consumers; "all" as a type adds all types up (from 1.38 on)."""
    query = (
        select(Consumer.type, Consumer.id, Allocation.resource_class, Allocation.used)
        .join(Allocation, Consumer.id == Allocation.consumer_id)
        .where(Consumer.project_id == project_id)
    )
    if user_id is not None:
        query = query.where(Consumer.user_id == user_id)
    if consumer_type == UNKNOWN_TYPE:
        query = query.where(Consumer.type.is_(None))
    elif consumer_type not in (None, "all"):
        query = query.where(Consumer.type == consumer_type)
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    consumers: dict[str, set[str]] = defaultdict(set)
    for kind, consumer_id, name, used in session.execute(query):
        key = "all" if consumer_type == "all" else kind or UNKNOWN_TYPE
        found[key][name] += used
        consumers[key].add(consumer_id)
    return {key: {**amounts, "consumer_count": len(consumers[key])} for key, amounts in found.items()}


def reshape(
    session: Session, inventories: dict[str, tuple[int, providers.Described]], wanted: list[tuple[Claim, object]]
) -> None:
    """Moves inventories and claims between providers at once: nothing in between is ever seen.

    New inventories come first, claims move, and then what is no longer described must be held by nobody.
    """
    rows = {name: providers.get(session, name, lock=True) for name in sorted(inventories)}
    full = {}
    for name, (generation, described) in inventories.items():
        providers.check_generation(rows[name], generation)
        full[name] = providers.checked(session, described, reserve_all=True)
        have = {
            item.resource_class: item
            for item in session.scalars(select(Inventory).where(Inventory.provider_id == name))
        }
        for resource_class, fields in full[name].items():
            providers.put_inventory(session, rows[name], resource_class, fields, have.get(resource_class))
    session.flush()
    write(session, wanted)
    for name, described in full.items():
        providers.set_inventories(session, rows[name], described)


def described(allocations: Any) -> Amounts:
    """Amounts out of a request, whose form is a list until 1.11 and a dictionary from 1.12 on."""
    if isinstance(allocations, list):
        found: Amounts = {}
        for item in allocations:
            found.setdefault(item["resource_provider"]["uuid"], {}).update(item["resources"])
        return found
    return {provider_id: dict(item["resources"]) for provider_id, item in allocations.items()}
