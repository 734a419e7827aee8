"""/traits and /resource_classes."""

from __future__ import annotations

import datetime
from typing import Any

from flask import Response, request

from api.http.current import read_session, write_session
from api.http.faults import BadRequest
from api.http.microversions import at_least, available
from api.http.responses import empty
from api.http.validation import json_body
from api.placement import names, schemas, trees
from api.placement.faults import conflict
from api.placement.models import CustomResourceClass, CustomTrait
from api.placement.routes.base import PREFIX, allow, answer, blueprint, nothing


@blueprint.get("/traits")
@available(since=(1, 6))
def list_traits() -> Response:
    allow("traits:list")
    query = schemas.LIST_TRAITS.check(request.args.to_dict())
    found = names.traits(read_session())
    kind, _, value = query.get("name", "startswith:").partition(":")
    if kind == "in":
        chosen = set(value.split(","))
        found = [name for name in found if name in chosen]
    else:
        found = [name for name in found if name.startswith(value)]
    if "associated" in query:
        has = set().union(*(provider.traits for provider in trees.load(read_session()).values()))
        wanted = query["associated"].lower() == "true"
        found = [name for name in found if (name in has) == wanted]
    return answer({"traits": found})


@blueprint.get("/traits/<name>")
@available(since=(1, 6))
def show_trait(name: str) -> Response:
    allow("traits:show")
    return nothing(names.find_trait(read_session(), name))


@blueprint.put("/traits/<name>")
@available(since=(1, 6))
def create_trait(name: str) -> Response:
    allow("traits:update")
    schemas.CUSTOM.check(name)
    made = names.ensure(write_session(), CustomTrait, name)
    return nothing(None, 201 if made else 204, f"/traits/{name}")


@blueprint.delete("/traits/<name>")
@available(since=(1, 6))
def delete_trait(name: str) -> Response:
    allow("traits:delete")
    names.delete_trait(write_session(), name)
    return empty()


def _class(name: str) -> dict[str, Any]:
    return {"name": name, "links": [{"rel": "self", "href": f"{PREFIX}/resource_classes/{name}"}]}


@blueprint.get("/resource_classes")
@available(since=(1, 2))
def list_classes() -> Response:
    allow("resource_classes:list")
    return answer({"resource_classes": [_class(name) for name in names.resource_classes(read_session())]})


@blueprint.post("/resource_classes")
@available(since=(1, 2))
def create_class() -> Response:
    allow("resource_classes:create")
    name = json_body(schemas.RESOURCE_CLASS)["name"]
    if not names.ensure(write_session(), CustomResourceClass, name):
        raise conflict(f"Conflicting resource class already exists: {name}")
    return nothing(None, 201, f"/resource_classes/{name}")


@blueprint.get("/resource_classes/<name>")
@available(since=(1, 2))
def show_class(name: str) -> Response:
    allow("resource_classes:show")
    modified: datetime.datetime | None = names.find_class(read_session(), name)
    return answer(_class(name), modified)


@blueprint.put("/resource_classes/<name>")
@available(since=(1, 2))
def update_class(name: str) -> Response:
    allow("resource_classes:update")
    if not at_least(1, 7):
        new = json_body(schemas.RESOURCE_CLASS)["name"]
        names.rename_class(write_session(), name, new)
        return answer(_class(new))
    if request.get_data():
        raise BadRequest("The request must have no body.")
    schemas.CUSTOM.check(name)
    made = names.ensure(write_session(), CustomResourceClass, name)
    return nothing(None, 201 if made else 204, f"/resource_classes/{name}")


@blueprint.delete("/resource_classes/<name>")
@available(since=(1, 2))
def delete_class(name: str) -> Response:
    allow("resource_classes:delete")
    names.delete_class(write_session(), name)
    return empty()
