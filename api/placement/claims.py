"""Claims: the one place where allocations are written, for the scheduler and for the API alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.http.faults import BadRequest
from api.placement.faults import NoCapacity
from api.placement.models import Allocation, Consumer, Inventory, ResourceProvider

Amounts = dict[str, dict[str, int]]
"""Provider's id -> resource class -> amount."""


@dataclass(frozen=True, slots=True)
class Claim:
    """All that a consumer is to hold; nothing at all forgets the consumer."""

    consumer_id: str
    project_id: str
    user_id: str
    amounts: Amounts
    consumer_type: str | None = None


def capacity(inventory: Inventory) -> int:
    """How much can be allocated in all, the reserve and the allocation ratio counted in."""
    return int((inventory.total - inventory.reserved) * inventory.allocation_ratio)


def misfit(inventory: Inventory | None, used: int, amount: int) -> str:
    """Why an amount cannot be taken of an inventory of which `used` is taken; empty when it can."""
    if inventory is None:
        return "there is no inventory of this class"
    free = capacity(inventory) - used
    if amount > free:
        return f"{max(free, 0)} are free, {amount} wanted"
    if not inventory.min_unit <= amount <= inventory.max_unit:
        return f"at least {inventory.min_unit} and at most {inventory.max_unit} can be taken at once, {amount} wanted"
    if amount % inventory.step_size:
        return f"only multiples of {inventory.step_size} can be taken, {amount} wanted"
    return ""


def replace(session: Session, claims: Sequence[Claim]) -> None:
    """Makes the consumers' allocations exactly these, all of them or none; NoCapacity when they do not fit.

    The providers' rows are locked first, in their order, so that two claims never count the same free amount. What the
    consumers hold now is free for this. 400 for a provider that does not exist.
    """
    consumers = {claim.consumer_id for claim in claims}
    held = select(Allocation.provider_id).where(Allocation.consumer_id.in_(consumers))
    wanted = {provider_id for claim in claims for provider_id in claim.amounts}
    touched = wanted | set(session.scalars(held))
    providers = {
        row.id: row
        for row in session.scalars(
            select(ResourceProvider).where(ResourceProvider.id.in_(touched)).order_by(ResourceProvider.number)
            .with_for_update())
    }  # fmt: skip
    if missing := wanted - set(providers):
        raise BadRequest(f"No resource provider with uuid {', '.join(sorted(missing))} found.")
    session.execute(delete(Allocation).where(Allocation.consumer_id.in_(consumers)))
    _check(session, claims, {name: providers[name] for name in wanted})
    _write(session, claims)
    for provider in providers.values():
        provider.generation += 1
        provider.updated_at = utcnow()
    session.flush()


def _check(session: Session, claims: Sequence[Claim], providers: dict[str, ResourceProvider]) -> None:
    inventories = {
        (row.provider_id, row.resource_class): row
        for row in session.scalars(select(Inventory).where(Inventory.provider_id.in_(providers)))
    }
    used: dict[tuple[str, str], int] = defaultdict(int)
    query = select(Allocation.provider_id, Allocation.resource_class, func.sum(Allocation.used))
    for provider_id, resource_class, amount in session.execute(
        query.where(Allocation.provider_id.in_(providers)).group_by(Allocation.provider_id, Allocation.resource_class)
    ):
        used[provider_id, resource_class] = int(amount)
    for claim in claims:
        for provider_id, amounts in claim.amounts.items():
            for name, amount in amounts.items():
                key = (provider_id, name)
                inventory = inventories.get(key)
                if why := misfit(inventory, used[key], amount):
                    host = providers[provider_id].name
                    free = min(capacity(inventory) - used[key], inventory.max_unit) if inventory else 0
                    raise NoCapacity(host, name, amount, free, f"{name} of resource provider {provider_id}: {why}")
                used[key] += amount


def _write(session: Session, claims: Sequence[Claim]) -> None:
    known = {
        row.id: row
        for row in session.scalars(select(Consumer).where(Consumer.id.in_({claim.consumer_id for claim in claims})))
    }
    for claim in claims:
        row = known.get(claim.consumer_id)
        if not any(claim.amounts.values()):
            if row is not None:
                session.delete(row)
            continue
        if row is None:
            session.add(Consumer(id=claim.consumer_id, project_id=claim.project_id, user_id=claim.user_id,
                                 type=claim.consumer_type))  # fmt: skip
        else:
            row.project_id, row.user_id = claim.project_id, claim.user_id
            row.type = claim.consumer_type or row.type
            row.generation += 1
    session.flush()
    session.add_all(
        Allocation(consumer_id=claim.consumer_id, provider_id=provider_id, resource_class=name, used=amount)
        for claim in claims
        for provider_id, amounts in claim.amounts.items()
        for name, amount in amounts.items()
    )
    session.flush()
