"""Placement's tables. A compute host is a resource provider from its first report on; operators may add others."""

from __future__ import annotations

import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from api.db.base import Base, new_uuid, utcnow

VCPU, MEMORY_MB, DISK_GB = "VCPU", "MEMORY_MB", "DISK_GB"
RESOURCE_CLASSES = (VCPU, MEMORY_MB, DISK_GB)


class ResourceProvider(Base):
    """A host that can be claimed from. `number` is the hypervisor's id in compute's old microversions.

    `disabled` stands for an operator's word (service disabled or forced down): no new claims. `parent_id` makes trees.
    """

    __tablename__ = "resource_providers"
    __table_args__ = {"sqlite_autoincrement": True}

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_uuid)
    name: Mapped[str] = mapped_column(unique=True)
    generation: Mapped[int] = mapped_column(default=0)
    disabled: Mapped[bool] = mapped_column(default=False)
    parent_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class Inventory(Base):
    """How much of a resource class a provider has. MEMORY_MB in MiB, DISK_GB in GiB."""

    __tablename__ = "inventories"

    provider_id: Mapped[str] = mapped_column(ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True)
    resource_class: Mapped[str] = mapped_column(primary_key=True)
    total: Mapped[int]
    reserved: Mapped[int] = mapped_column(default=0)
    min_unit: Mapped[int] = mapped_column(default=1)
    max_unit: Mapped[int]
    step_size: Mapped[int] = mapped_column(default=1)
    allocation_ratio: Mapped[float] = mapped_column(default=1.0)


class Consumer(Base):
    """Who claims: a server, by its id. The type (INSTANCE for servers) is None when the claim told none."""

    __tablename__ = "consumers"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[str]
    generation: Mapped[int] = mapped_column(default=1)
    type: Mapped[str | None]


class Allocation(Base):
    """What a consumer has claimed. The index answers "how much is used" without touching the table."""

    __tablename__ = "allocations"
    __table_args__ = (Index("ix_allocations_usage", "provider_id", "resource_class", "used"),)

    consumer_id: Mapped[str] = mapped_column(ForeignKey("consumers.id", ondelete="CASCADE"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(ForeignKey("resource_providers.id"), primary_key=True)
    resource_class: Mapped[str] = mapped_column(primary_key=True)
    used: Mapped[int]


class ProviderTrait(Base):
    """A trait that an operator gave a provider, beside those that are known of a host from its facts."""

    __tablename__ = "provider_traits"

    provider_id: Mapped[str] = mapped_column(ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True)
    trait: Mapped[str] = mapped_column(primary_key=True, index=True)


class ProviderAggregate(Base):
    """A provider's membership in an aggregate; an aggregate is nothing but its id."""

    __tablename__ = "provider_aggregates"

    provider_id: Mapped[str] = mapped_column(ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True)
    aggregate_id: Mapped[str] = mapped_column(primary_key=True, index=True)


class CustomTrait(Base):
    """A trait of the operator's, `CUSTOM_...`; the standard ones are os-traits'."""

    __tablename__ = "custom_traits"

    name: Mapped[str] = mapped_column(primary_key=True)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class CustomResourceClass(Base):
    """A resource class of the operator's, `CUSTOM_...`; the standard ones are os-resource-classes'."""

    __tablename__ = "custom_resource_classes"

    name: Mapped[str] = mapped_column(primary_key=True)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
