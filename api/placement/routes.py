"""Placement's API, first form: version document and what there is to read of resource providers."""

from __future__ import annotations

import datetime
from typing import Any

from flask import Blueprint, Response, request

from api.http import policy
from api.http.current import context, public, read_session
from api.http.faults import NotFound, placement_fault
from api.http.microversions import Microversions, at_least
from api.http.responses import json_response
from api.http.wiring import Service
from api.placement import schemas, service
from api.placement.models import ResourceProvider

MICROVERSIONS = Microversions("placement", (1, 0), (1, 39))
blueprint = Blueprint("placement", __name__)
SERVICE = Service("placement", "placement", blueprint, placement_fault, MICROVERSIONS)


@blueprint.get("/")
@public
def root() -> Response:
    """The version document (API reference, "API Versions")."""
    version = {"id": "v1.0", "max_version": "1.39", "min_version": "1.0", "status": "CURRENT",
               "links": [{"rel": "self", "href": ""}]}  # fmt: skip
    return json_response({"versions": [version]})


def _answer(body: dict[str, Any], modified: datetime.datetime) -> Response:
    headers = {}
    if at_least(1, 15):
        headers = {"Cache-Control": "no-cache", "Last-Modified": modified.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    return json_response(body, headers=headers)


def _provider(uuid: str) -> ResourceProvider:
    found = service.list_providers(read_session(), id_=uuid)
    if not found:
        raise NotFound(f"No resource provider with uuid {uuid} found")
    return found[0]


def _body(provider: ResourceProvider) -> dict[str, Any]:
    base = f"/placement/resource_providers/{provider.id}"
    relations = ["inventories", "usages"]
    relations += ["aggregates"] if at_least(1, 1) else []
    relations += ["traits"] if at_least(1, 6) else []
    relations += ["allocations"] if at_least(1, 11) else []
    links = [{"rel": "self", "href": base}, *({"rel": name, "href": f"{base}/{name}"} for name in relations)]
    body = {"uuid": provider.id, "name": provider.name, "generation": provider.generation, "links": links}
    if at_least(1, 14):
        body |= {"parent_provider_uuid": None, "root_provider_uuid": provider.id}
    return body


@blueprint.get("/resource_providers")
def list_providers() -> Response:
    policy.authorize(context(), "placement:resource_providers:list")
    query = schemas.PROVIDERS.check(request.args.to_dict())
    providers = service.list_providers(
        read_session(), name=query.get("name"), id_=query.get("uuid") or query.get("in_tree")
    )
    shown = [provider for provider in providers if _matches(provider, query)]
    modified = max((provider.updated_at for provider in shown), default=datetime.datetime.now(datetime.UTC))
    return _answer({"resource_providers": [_body(provider) for provider in shown]}, modified)


def _matches(provider: ResourceProvider, query: dict[str, str]) -> bool:
    """Filters by free resources and traits. No aggregates exist, so nothing is a member of one."""
    if member := query.get("member_of"):
        return member.startswith("!")
    if "resources" not in query and "required" not in query:
        return True
    view = service.view(read_session(), provider)
    for pair in filter(None, query.get("resources", "").split(",")):
        name, _, amount = pair.partition(":")
        have = view.inventories.get(name)
        if have is None:
            return False
        free = int((have["total"] - have["reserved"]) * have["allocation_ratio"]) - view.usages[name]
        if int(amount) > min(free, have["max_unit"]):
            return False
    wanted = [trait.strip() for trait in query.get("required", "").split(",") if trait.strip()]
    return all((trait[1:] not in view.traits) if trait[0] == "!" else trait in view.traits for trait in wanted)


@blueprint.get("/resource_providers/<uuid>")
def show_provider(uuid: str) -> Response:
    policy.authorize(context(), "placement:resource_providers:show")
    provider = _provider(uuid)
    return _answer(_body(provider), provider.updated_at)


@blueprint.get("/resource_providers/<uuid>/inventories")
def list_inventories(uuid: str) -> Response:
    policy.authorize(context(), "placement:resource_providers:inventories:list")
    view = service.view(read_session(), _provider(uuid))
    body = {"inventories": view.inventories, "resource_provider_generation": view.generation}
    return _answer(body, view.updated_at)


@blueprint.get("/resource_providers/<uuid>/inventories/<resource_class>")
def show_inventory(uuid: str, resource_class: str) -> Response:
    policy.authorize(context(), "placement:resource_providers:inventories:show")
    view = service.view(read_session(), _provider(uuid))
    if resource_class not in view.inventories:
        raise NotFound(f"No inventory of class {resource_class} for {uuid}")
    body = {**view.inventories[resource_class], "resource_provider_generation": view.generation}
    return _answer(body, view.updated_at)


@blueprint.get("/resource_providers/<uuid>/usages")
def list_usages(uuid: str) -> Response:
    policy.authorize(context(), "placement:resource_providers:usages")
    view = service.view(read_session(), _provider(uuid))
    return _answer({"usages": view.usages, "resource_provider_generation": view.generation}, view.updated_at)


@blueprint.get("/resource_providers/<uuid>/allocations")
def list_allocations(uuid: str) -> Response:
    policy.authorize(context(), "placement:resource_providers:allocations:list")
    provider = _provider(uuid)
    held = service.allocations(read_session(), provider.id)
    body = {
        "allocations": {consumer: {"resources": resources} for consumer, resources in held.items()},
        "resource_provider_generation": provider.generation,
    }
    return _answer(body, provider.updated_at)


@blueprint.get("/resource_providers/<uuid>/traits")
def list_traits(uuid: str) -> Response:
    policy.authorize(context(), "placement:resource_providers:traits:list")
    if not at_least(1, 6):
        raise NotFound("The resource could not be found.")
    view = service.view(read_session(), _provider(uuid))
    return _answer({"traits": view.traits, "resource_provider_generation": view.generation}, view.updated_at)


@blueprint.get("/resource_providers/<uuid>/aggregates")
def list_aggregates(uuid: str) -> Response:
    policy.authorize(context(), "placement:resource_providers:aggregates:list")
    if not at_least(1, 1):
        raise NotFound("The resource could not be found.")
    provider = _provider(uuid)
    body: dict[str, Any] = {"aggregates": []}
    if at_least(1, 19):
        body["resource_provider_generation"] = provider.generation
    return _answer(body, provider.updated_at)
