"""Resource providers as the API shows them: what they have, what is used, how they hang together. Read in one go."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.db.hosts import Host
from api.http.faults import NotFound
from api.placement.claims import capacity, misfit
from api.placement.faults import PROVIDER_NOT_FOUND
from api.placement.models import Allocation, Inventory, ProviderAggregate, ProviderTrait, ResourceProvider

OF_EVERY_HOST = frozenset(
    {"COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_NET_VIF_MODEL_VIRTIO",
     "COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_NODE"}
)  # fmt: skip
DISABLED = "COMPUTE_STATUS_DISABLED"
SHARING = "MISC_SHARES_VIA_AGGREGATE"


@dataclass(slots=True)
class Provider:
    """A resource provider. Inventories and use are by resource class; traits are given or of its facts."""

    id: str
    name: str
    number: int
    generation: int
    updated_at: datetime.datetime
    parent_id: str | None
    root_id: str
    of_facts: frozenset[str]
    inventories: dict[str, Inventory] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    given_traits: set[str] = field(default_factory=set)
    aggregates: set[str] = field(default_factory=set)

    @property
    def traits(self) -> set[str]:
        return self.given_traits | self.of_facts

    def fits(self, resources: dict[str, int]) -> bool:
        """Whether all of these amounts can be taken."""
        return all(
            not misfit(self.inventories.get(name), self.used.get(name, 0), amount) for name, amount in resources.items()
        )

    def capacity(self, resource_class: str) -> int:
        return capacity(self.inventories[resource_class])


Providers = dict[str, Provider]


def load(session: Session) -> Providers:
    """Every provider by id, in the order of their making, in five queries however many there are."""
    query = (
        select(ResourceProvider, Host.name, Host.facts[("cpu_info", "arch")].as_string())
        .outerjoin(Host, Host.name == ResourceProvider.name)
        .order_by(ResourceProvider.number)
    )
    rows = session.execute(query).all()
    parents = {row.id: row.parent_id for row, *_ in rows}
    found = {
        row.id: Provider(
            row.id, row.name, row.number, row.generation, row.updated_at, row.parent_id, _root(row.id, parents),
            _traits_of_facts(row, host is not None, arch),
        )
        for row, host, arch in rows
    }  # fmt: skip
    for inventory in session.scalars(select(Inventory).order_by(Inventory.resource_class)):
        found[inventory.provider_id].inventories[inventory.resource_class] = inventory
    used = select(Allocation.provider_id, Allocation.resource_class, func.sum(Allocation.used))
    for provider_id, name, amount in session.execute(used.group_by(Allocation.provider_id, Allocation.resource_class)):
        found[provider_id].used[name] = int(amount)
    for provider_id, trait in session.execute(select(ProviderTrait.provider_id, ProviderTrait.trait)):
        found[provider_id].given_traits.add(trait)
    members = select(ProviderAggregate.provider_id, ProviderAggregate.aggregate_id)
    for provider_id, aggregate_id in session.execute(members):
        found[provider_id].aggregates.add(aggregate_id)
    return found


def _root(provider_id: str, parents: dict[str, str | None]) -> str:
    while (parent := parents.get(provider_id)) is not None:
        provider_id = parent
    return provider_id


def _traits_of_facts(row: ResourceProvider, is_host: bool, arch: str | None) -> frozenset[str]:
    """What is known to be true of a host, under os-traits' names."""
    if not is_host:
        return frozenset()
    known = set(OF_EVERY_HOST)
    if arch in ("x86_64", "aarch64"):
        known.add(f"HW_ARCH_{arch.upper()}")
    if row.disabled:
        known.add(DISABLED)
    return frozenset(known)


def one(session: Session, provider_id: str) -> Provider:
    """One provider; 404 when there is none."""
    found = load(session).get(provider_id)
    if found is None:
        raise NotFound(f"No resource provider with uuid {provider_id} found", kind=PROVIDER_NOT_FOUND)
    return found


def subtree(providers: Providers, provider_id: str) -> set[str]:
    """The provider and all below it."""
    children: dict[str | None, list[str]] = defaultdict(list)
    for provider in providers.values():
        children[provider.parent_id].append(provider.id)
    found, todo = set(), [provider_id]
    while todo:
        current = todo.pop()
        found.add(current)
        todo += children[current]
    return found


def above(providers: Providers, provider_id: str) -> Iterable[str]:
    """The provider and all above it, up to its root."""
    current: str | None = provider_id
    while current is not None:
        yield current
        current = providers[current].parent_id
