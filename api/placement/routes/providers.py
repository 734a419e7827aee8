"""/resource_providers: the providers themselves, their aggregates and traits, what is used of them."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.http.current import read_session, write_session
from api.http.microversions import at_least, available, microversion
from api.http.responses import empty
from api.http.validation import any_json_body, json_body
from api.placement import allocations, candidates, providers, queries, schemas, trees
from api.placement.routes.base import PREFIX, allow, answer, blueprint, nothing


def _view(provider: trees.Provider) -> dict[str, Any]:
    path = f"/resource_providers/{provider.id}"
    relations = ["inventories", "usages"]
    relations += ["aggregates"] if at_least(1, 1) else []
    relations += ["traits"] if at_least(1, 6) else []
    relations += ["allocations"] if at_least(1, 11) else []
    links = [{"rel": "self", "href": PREFIX + path},
             *({"rel": name, "href": f"{PREFIX}{path}/{name}"} for name in relations)]  # fmt: skip
    body = {"uuid": provider.id, "name": provider.name, "generation": provider.generation, "links": links}
    if at_least(1, 14):
        body |= {"parent_provider_uuid": provider.parent_id, "root_provider_uuid": provider.root_id}
    return body


@blueprint.get("/resource_providers")
def list_providers() -> Response:
    allow("resource_providers:list")
    group, plain = queries.of_providers(read_session(), request.args, microversion())
    found = trees.load(read_session())
    shown = [
        provider for provider in found.values()
        if plain.get("name", provider.name) == provider.name and plain.get("uuid", provider.id) == provider.id
        and candidates.matches(provider, found, group)
    ]  # fmt: skip
    modified = max((provider.updated_at for provider in shown), default=None)
    return answer({"resource_providers": [_view(provider) for provider in shown]}, modified)


@blueprint.post("/resource_providers")
def create_provider() -> Response:
    allow("resource_providers:create")
    body = json_body(schemas.CREATE_PROVIDER_IN_TREE if at_least(1, 14) else schemas.CREATE_PROVIDER)
    session = write_session()
    made = providers.create(session, body["name"], body.get("uuid"), body.get("parent_provider_uuid"))
    location = f"/resource_providers/{made.id}"
    if at_least(1, 20):
        return answer(_view(trees.one(session, made.id)), made.updated_at, location=location)
    return nothing(made.updated_at, 201, location)


@blueprint.get("/resource_providers/<uuid>")
def show_provider(uuid: str) -> Response:
    allow("resource_providers:show")
    provider = trees.one(read_session(), uuid)
    return answer(_view(provider), provider.updated_at)


@blueprint.put("/resource_providers/<uuid>")
def update_provider(uuid: str) -> Response:
    allow("resource_providers:update")
    body = json_body(schemas.UPDATE_PROVIDER_IN_TREE if at_least(1, 14) else schemas.UPDATE_PROVIDER)
    session = write_session()
    row = providers.get(session, uuid, lock=True)
    providers.rename(session, row, body["name"])
    if "parent_provider_uuid" in body:
        providers.reparent(session, row, body["parent_provider_uuid"], free=at_least(1, 37))
    session.flush()
    return answer(_view(trees.one(session, uuid)), row.updated_at)


@blueprint.delete("/resource_providers/<uuid>")
def delete_provider(uuid: str) -> Response:
    allow("resource_providers:delete")
    session = write_session()
    providers.remove(session, providers.get(session, uuid, lock=True))
    return empty()


@blueprint.get("/resource_providers/<uuid>/usages")
def list_usages(uuid: str) -> Response:
    allow("resource_providers:usages")
    provider = trees.one(read_session(), uuid)
    usages = {name: provider.used.get(name, 0) for name in provider.inventories}
    return answer({"usages": usages, "resource_provider_generation": provider.generation}, provider.updated_at)


@blueprint.get("/resource_providers/<uuid>/allocations")
def list_allocations(uuid: str) -> Response:
    allow("resource_providers:allocations:list")
    row = providers.get(read_session(), uuid)
    held = allocations.of_provider(read_session(), uuid)
    if not at_least(1, 28):
        held = {consumer: {"resources": entry["resources"]} for consumer, entry in held.items()}
    return answer({"allocations": held, "resource_provider_generation": row.generation}, row.updated_at)


@blueprint.get("/resource_providers/<uuid>/aggregates")
@available(since=(1, 1))
def provider_aggregates(uuid: str) -> Response:
    allow("resource_providers:aggregates:list")
    return _aggregates(trees.one(read_session(), uuid))


def _aggregates(provider: trees.Provider) -> Response:
    body: dict[str, Any] = {"aggregates": sorted(provider.aggregates)}
    if at_least(1, 19):
        body["resource_provider_generation"] = provider.generation
    return answer(body, provider.updated_at)


@blueprint.put("/resource_providers/<uuid>/aggregates")
@available(since=(1, 1))
def set_aggregates(uuid: str) -> Response:
    allow("resource_providers:aggregates:update")
    counted = at_least(1, 19)
    body = json_body(schemas.AGGREGATES) if counted else {"aggregates": schemas.AGGREGATES_ALONE.check(any_json_body())}
    session = write_session()
    row = providers.get(session, uuid, lock=True)
    providers.check_generation(row, body.get("resource_provider_generation"))
    providers.set_aggregates(session, row, {name.lower() for name in body["aggregates"]}, count=counted)
    session.flush()
    return _aggregates(trees.one(session, uuid))


def _traits(provider: trees.Provider) -> Response:
    body = {"traits": sorted(provider.traits), "resource_provider_generation": provider.generation}
    return answer(body, provider.updated_at)


@blueprint.get("/resource_providers/<uuid>/traits")
@available(since=(1, 6))
def provider_traits(uuid: str) -> Response:
    allow("resource_providers:traits:list")
    return _traits(trees.one(read_session(), uuid))


@blueprint.put("/resource_providers/<uuid>/traits")
@available(since=(1, 6))
def set_traits(uuid: str) -> Response:
    allow("resource_providers:traits:update")
    body = json_body(schemas.TRAITS)
    session = write_session()
    row = providers.get(session, uuid, lock=True)
    providers.check_generation(row, body["resource_provider_generation"])
    providers.set_traits(session, trees.one(session, uuid), row, set(body["traits"]))
    session.flush()
    return _traits(trees.one(session, uuid))


@blueprint.delete("/resource_providers/<uuid>/traits")
@available(since=(1, 6))
def remove_traits(uuid: str) -> Response:
    allow("resource_providers:traits:delete")
    session = write_session()
    row = providers.get(session, uuid, lock=True)
    providers.set_traits(session, trees.one(session, uuid), row, set())
    return empty()
