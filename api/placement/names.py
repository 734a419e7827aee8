"""Traits and resource classes: the standard ones of os-traits and os-resource-classes, and the operator's own."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.http.faults import BadRequest, NotFound
from api.placement.faults import conflict
from api.placement.models import CustomResourceClass, CustomTrait, Inventory, ProviderTrait

PREFIX = "CUSTOM_"
Custom = type[CustomTrait] | type[CustomResourceClass]


@functools.cache
def standard_traits() -> frozenset[str]:
    """The names of os-traits, loaded when they are asked for."""
    import os_traits

    return frozenset(os_traits.get_traits())


@functools.cache
def standard_classes() -> tuple[str, ...]:
    """The names of os-resource-classes, in their order."""
    import os_resource_classes

    return tuple(os_resource_classes.STANDARDS)


def _custom(session: Session, table: Custom) -> list[str]:
    return list(session.scalars(select(table.name).order_by(table.name)))


def traits(session: Session) -> list[str]:
    """Every trait that there is."""
    return sorted(standard_traits()) + _custom(session, CustomTrait)


def resource_classes(session: Session) -> list[str]:
    """Every resource class that there is."""
    return [*standard_classes(), *_custom(session, CustomResourceClass)]


def associated_traits(session: Session) -> set[str]:
    """The traits that operators gave to providers."""
    return set(session.scalars(select(ProviderTrait.trait).distinct()))


def unknown_traits(session: Session, wanted: Iterable[str]) -> list[str]:
    """Those of the names that are no traits."""
    return _unknown(session, CustomTrait, set(wanted) - standard_traits())


def unknown_classes(session: Session, wanted: Iterable[str]) -> list[str]:
    """Those of the names that are no resource classes."""
    return _unknown(session, CustomResourceClass, set(wanted) - set(standard_classes()))


def _unknown(session: Session, table: Custom, names: set[str]) -> list[str]:
    if not names:
        return []
    return sorted(names - set(session.scalars(select(table.name).where(table.name.in_(names)))))


def check_classes(session: Session, wanted: Iterable[str]) -> None:
    """400 when one of the names is no resource class."""
    if missing := unknown_classes(session, wanted):
        raise BadRequest(f"No such resource class: {', '.join(missing)}. Create it first (PUT /resource_classes).")


def check_traits(session: Session, wanted: Iterable[str]) -> None:
    """400 when one of the names is no trait."""
    if missing := unknown_traits(session, wanted):
        raise BadRequest(f"No such trait(s): {', '.join(missing)}.")


def find_trait(session: Session, name: str) -> datetime.datetime | None:
    """When a trait was last changed (None: it is standard); 404 when there is none."""
    if name in standard_traits():
        return None
    if (row := session.get(CustomTrait, name)) is None:
        raise NotFound(f"No such trait(s): {name}.")
    return row.updated_at


def find_class(session: Session, name: str) -> datetime.datetime | None:
    """When a resource class was last changed (None: it is standard); 404 when there is none."""
    if name in standard_classes():
        return None
    if (row := session.get(CustomResourceClass, name)) is None:
        raise NotFound(f"No such resource class {name}.")
    return row.updated_at


def ensure(session: Session, table: Custom, name: str) -> bool:
    """Makes an operator's name known; whether it was not yet."""
    query = update(table).where(table.name == name).values(updated_at=utcnow())
    if session.execute(query.returning(table.name)).first() is not None:
        return False
    session.add(table(name=name))
    return True


def delete_trait(session: Session, name: str) -> None:
    """Forgets a trait that no provider has."""
    if name in standard_traits():
        raise BadRequest(f"Cannot delete standard trait {name}.")
    find_trait(session, name)
    if session.scalar(select(ProviderTrait.trait).where(ProviderTrait.trait == name).limit(1)):
        raise conflict(f"The trait {name} is in use by a resource provider.")
    session.delete(session.get_one(CustomTrait, name))


def _check_own_class(name: str) -> None:
    if name in standard_classes():
        raise BadRequest(f"Cannot change or delete standard resource class {name}.")


def _check_unused(session: Session, name: str) -> None:
    if session.scalar(select(Inventory.resource_class).where(Inventory.resource_class == name).limit(1)):
        raise conflict(f"The resource class {name} is in use by inventory.")


def delete_class(session: Session, name: str) -> None:
    """Forgets a resource class of which nobody has any."""
    _check_own_class(name)
    find_class(session, name)
    _check_unused(session, name)
    session.delete(session.get_one(CustomResourceClass, name))


def rename_class(session: Session, name: str, new: str) -> None:
    """Another name for an operator's resource class of which nobody has any (until 1.6)."""
    _check_own_class(name)
    find_class(session, name)
    if session.get(CustomResourceClass, new) is not None:
        raise conflict(f"Resource class already exists: {new}")
    _check_unused(session, name)
    session.delete(session.get_one(CustomResourceClass, name))
    session.add(CustomResourceClass(name=new))
