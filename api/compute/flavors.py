"""Flavors: sizes of servers, kept by operators, some for chosen projects only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, or_, select
from sqlalchemy.orm import Session

from api.compute.models import Flavor, FlavorAccess
from api.db.base import new_uuid, utcnow
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, NotFound


def visible(context: Context) -> Select[Any]:
    """The flavors that a project may use: public ones and those it was given access to."""
    given = select(FlavorAccess.flavor_id).where(FlavorAccess.project_id == (context.project_id or ""))
    return select(Flavor).where(or_(Flavor.is_public.is_(True), Flavor.id.in_(given)))


def get(session: Session, context: Context, flavor_id: str) -> Flavor:
    """A flavor by id; 404 when it does not exist or is another project's."""
    query = select(Flavor) if context.is_admin else visible(context)
    flavor: Flavor | None = session.scalar(query.where(Flavor.id == flavor_id))
    if flavor is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.")
    return flavor


def create(session: Session, context: Context, values: dict[str, Any]) -> Flavor:
    """Stores a flavor; 409 for a name or id that is taken. A private flavor is its maker's project's to use."""
    flavor = Flavor(
        id=values["id"] or new_uuid(), name=values["name"], description=values.get("description"),
        vcpus=values["vcpus"], ram_mb=values["ram"], disk_gb=values["disk"], ephemeral_gb=values["ephemeral"],
        swap_mb=values["swap"], rxtx_factor=values["rxtx_factor"], is_public=values["is_public"], extra_specs={},
    )  # fmt: skip
    if session.scalar(select(Flavor.id).where(Flavor.id == flavor.id)) is not None:
        raise Conflict(f"Flavor with ID {flavor.id} already exists.")
    if session.scalar(select(Flavor.id).where(Flavor.name == flavor.name)) is not None:
        raise Conflict(f"Flavor with name {flavor.name} already exists.")
    session.add(flavor)
    session.flush()
    if not flavor.is_public and context.project_id:
        session.add(FlavorAccess(flavor_id=flavor.id, project_id=context.project_id))
    return flavor


def destroy(session: Session, flavor: Flavor) -> None:
    """Removes a flavor. Servers keep their copy."""
    session.delete(flavor)


def access_list(session: Session, flavor: Flavor) -> list[str]:
    """The projects that may use a flavor; 404 for a public one, as there."""
    if flavor.is_public:
        raise NotFound("Access list not available for public flavors.")
    query = select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == flavor.id)
    return list(session.scalars(query.order_by(FlavorAccess.project_id)))


def add_access(session: Session, flavor: Flavor, project_id: str) -> None:
    """Lets a project use a flavor; 409 when it may already."""
    if flavor.is_public:
        raise Conflict("Can not add access to a public flavor.")
    if session.get(FlavorAccess, (flavor.id, project_id)):
        raise Conflict(f"Flavor access already exists for flavor {flavor.id} and project {project_id} combination.")
    session.add(FlavorAccess(flavor_id=flavor.id, project_id=project_id))
    session.flush()


def remove_access(session: Session, flavor: Flavor, project_id: str) -> None:
    """Takes the right back; 404 when the project does not have it."""
    access = session.get(FlavorAccess, (flavor.id, project_id))
    if access is None:
        raise NotFound(f"Flavor access not found for {flavor.id} / {project_id} combination.")
    session.delete(access)
    session.flush()


def forget_project(session: Session, project_id: str) -> None:
    """Drops what a project that goes was given."""
    session.execute(delete(FlavorAccess).where(FlavorAccess.project_id == project_id))


MAX_INT = 0x7FFFFFFF


def number(name: str, value: Any, lowest: int) -> int:
    """A flavor's number, which the API takes as integer or digits; 400 outside `lowest`..2**31-1."""
    if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit():
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. {value!r} is not an integer.")
    if not lowest <= int(value) <= MAX_INT:
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. "
                         f"It must be from {lowest} to {MAX_INT}.")  # fmt: skip
    return int(value)


def set_extra_specs(flavor: Flavor, specs: dict[str, str]) -> None:
    """Adds or changes extra specs."""
    flavor.extra_specs = flavor.extra_specs | specs
    flavor.updated_at = utcnow()


def delete_extra_spec(flavor: Flavor, key: str) -> None:
    """Removes an extra spec; 404 when there is none of that name."""
    if key not in flavor.extra_specs:
        raise NotFound(f"Flavor {flavor.id} has no extra specs with key {key}.")
    flavor.extra_specs = {name: value for name, value in flavor.extra_specs.items() if name != key}
    flavor.updated_at = utcnow()


def snapshot(flavor: Flavor) -> dict[str, Any]:
    """The copy of a flavor that a server keeps."""
    return {
        "id": flavor.id, "name": flavor.name, "vcpus": flavor.vcpus, "ram": flavor.ram_mb, "disk": flavor.disk_gb,
        "ephemeral": flavor.ephemeral_gb, "swap": flavor.swap_mb, "rxtx_factor": flavor.rxtx_factor,
        "extra_specs": flavor.extra_specs,
    }  # fmt: skip
