"""/resource_providers/{uuid}/inventories."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from api.http.current import read_session, write_session
from api.http.faults import BadRequest, NotFound
from api.http.microversions import at_least, available
from api.http.responses import empty
from api.http.validation import json_body
from api.placement import providers, schemas, trees
from api.placement.faults import conflict
from api.placement.models import Inventory
from api.placement.routes.base import allow, answer, blueprint

FIELDS = ("total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio")


def _fields(inventory: Inventory) -> dict[str, int | float]:
    return {name: getattr(inventory, name) for name in FIELDS}


def _all(provider: trees.Provider) -> Response:
    body = {
        "inventories": {name: _fields(inventory) for name, inventory in provider.inventories.items()},
        "resource_provider_generation": provider.generation,
    }
    return answer(body, provider.updated_at)


def _one(provider: trees.Provider, name: str, status: int = 200, location: str | None = None) -> Response:
    if name not in provider.inventories:
        raise NotFound(f"No inventory of class {name} for {provider.id}")
    body = {**_fields(provider.inventories[name]), "resource_provider_generation": provider.generation}
    return answer(body, provider.updated_at, status, location)


def _split(body: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
    """The provider's generation that the caller saw, and the inventory's own fields."""
    fields = {name: body[name] for name in FIELDS if name in body}
    return body.get("resource_provider_generation"), fields


def _put(session: Session, uuid: str, name: str, fields: dict[str, Any], generation: int | None, *, new: bool) -> None:
    row = providers.get(session, uuid, lock=True)
    have = trees.one(session, uuid).inventories.get(name)
    full = providers.checked(session, {name: fields}, reserve_all=at_least(1, 26))[name]
    providers.check_generation(row, generation)
    if new and have is not None:
        raise conflict(f"Update conflict: inventory of class {name} already exists for {uuid}.")
    if not new and have is None:
        raise BadRequest(f"No inventory record with resource class {name} for resource provider {uuid} exists")
    providers.put_inventory(session, row, name, full, have)
    providers.touch(row)
    session.flush()


@blueprint.get("/resource_providers/<uuid>/inventories")
def list_inventories(uuid: str) -> Response:
    allow("resource_providers:inventories:list")
    return _all(trees.one(read_session(), uuid))


@blueprint.put("/resource_providers/<uuid>/inventories")
def set_inventories(uuid: str) -> Response:
    allow("resource_providers:inventories:update")
    body = json_body(schemas.INVENTORIES)
    session = write_session()
    row = providers.get(session, uuid, lock=True)
    providers.check_generation(row, body["resource_provider_generation"])
    full = providers.checked(session, body["inventories"], reserve_all=at_least(1, 26))
    providers.set_inventories(session, row, full)
    return _all(trees.one(session, uuid))


@blueprint.post("/resource_providers/<uuid>/inventories")
def create_inventory(uuid: str) -> Response:
    allow("resource_providers:inventories:create")
    body = json_body(schemas.NEW_INVENTORY)
    session = write_session()
    name = body["resource_class"]
    generation, fields = _split(body)
    _put(session, uuid, name, fields, generation, new=True)
    return _one(trees.one(session, uuid), name, 201, f"/resource_providers/{uuid}/inventories/{name}")


@blueprint.delete("/resource_providers/<uuid>/inventories")
@available(since=(1, 5))
def delete_inventories(uuid: str) -> Response:
    allow("resource_providers:inventories:delete")
    session = write_session()
    providers.set_inventories(session, providers.get(session, uuid, lock=True), {})
    return empty()


@blueprint.get("/resource_providers/<uuid>/inventories/<resource_class>")
def show_inventory(uuid: str, resource_class: str) -> Response:
    allow("resource_providers:inventories:show")
    return _one(trees.one(read_session(), uuid), resource_class)


@blueprint.put("/resource_providers/<uuid>/inventories/<resource_class>")
def update_inventory(uuid: str, resource_class: str) -> Response:
    allow("resource_providers:inventories:update")
    generation, fields = _split(json_body(schemas.INVENTORY))
    session = write_session()
    _put(session, uuid, resource_class, fields, generation, new=False)
    return _one(trees.one(session, uuid), resource_class)


@blueprint.delete("/resource_providers/<uuid>/inventories/<resource_class>")
def delete_inventory(uuid: str, resource_class: str) -> Response:
    allow("resource_providers:inventories:delete")
    session = write_session()
    row = providers.get(session, uuid, lock=True)
    have = trees.one(session, uuid).inventories.get(resource_class)
    if have is None:
        raise NotFound(f"No inventory of class {resource_class} found for delete")
    providers.check_unused(session, row, {resource_class})
    session.delete(have)
    providers.touch(row)
    return empty()
