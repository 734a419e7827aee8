"""/v2/metadefs: namespaces and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from api.config import settings
from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest
from api.http.paging import fetch, next_link, parse_page
from api.http.responses import empty, json_response
from api.http.validation import Schema, json_body
from api.image import metadefs
from api.image.metadef_schemas import NAME, NAMESPACE, OBJECT, PROPERTY, TAG, TAGS, TYPE_LINK
from api.image.models import MetadefEntry, MetadefNamespace
from api.image.routes.base import blueprint

_ROOT = "/v2/metadefs/namespaces"
_NAMESPACE = f"{_ROOT}/<namespace>"
_SORT: dict[str, InstrumentedAttribute[Any]] = {
    "namespace": MetadefNamespace.namespace, "created_at": MetadefNamespace.created_at,
    "updated_at": MetadefNamespace.updated_at, "id": MetadefNamespace.id,
}  # fmt: skip
_ENTRY_SORT: dict[str, InstrumentedAttribute[Any]] = {
    "name": MetadefEntry.name, "created_at": MetadefEntry.created_at, "updated_at": MetadefEntry.updated_at,
}  # fmt: skip


def _created(body: dict[str, Any], path: str) -> Response:
    return json_response(body, 201, {"Location": f"{settings().url()}/image{path}"})


@blueprint.get(_ROOT)
def list_namespaces() -> Response:
    policy.authorize(context(), "get_metadef_namespaces")
    visibility = request.args.get("visibility")
    if visibility not in (None, "public", "private"):
        raise BadRequest(f"Invalid visibility value: {visibility}")
    wanted = [name for name in request.args.get("resource_types", "").split(",") if name]
    page = parse_page(_SORT, (("created_at", True),), maximum=1000)
    marker = None
    if page.marker:
        marker = metadefs.find(read_session(), context(), page.marker, "get_metadef_namespace")
    query = metadefs.matching(context(), visibility, wanted)
    found, more = fetch(read_session(), query, page, _SORT, MetadefNamespace.id, marker_row=marker)
    held = metadefs.entries(read_session(), found, metadefs.RESOURCE_TYPE)
    body: dict[str, Any] = {
        "namespaces": [metadefs.view(namespace, held[namespace.id]) for namespace in found],
        "first": _ROOT, "schema": "/v2/schemas/metadefs/namespaces",
    }  # fmt: skip
    if more and found:
        body["next"] = next_link(_ROOT, found[-1].namespace, page.limit, absolute=False)
    return json_response(body)


@blueprint.post(_ROOT)
def create_namespace() -> Response:
    made = metadefs.create(write_session(), context(), json_body(NAMESPACE))
    held = metadefs.entries(write_session(), [made])[made.id]
    return _created(metadefs.view(made, held), f"{_ROOT}/{made.namespace}")


@blueprint.get(_NAMESPACE)
def show_namespace(namespace: str) -> Response:
    found = metadefs.find(read_session(), context(), namespace, "get_metadef_namespace")
    return json_response(metadefs.view(found, metadefs.entries(read_session(), [found])[found.id]))


@blueprint.put(_NAMESPACE)
def update_namespace(namespace: str) -> Response:
    changed = metadefs.change(write_session(), context(), namespace, json_body(NAMESPACE))
    held = metadefs.entries(write_session(), [changed], metadefs.RESOURCE_TYPE)
    return json_response(metadefs.view(changed, held[changed.id]))


@blueprint.delete(_NAMESPACE)
def delete_namespace(namespace: str) -> Response:
    metadefs.remove(write_session(), context(), namespace)
    return empty()


@dataclass(frozen=True)
class _Kind:
    """Handlers of what namespaces hold; objects, properties and tags differ in little."""

    kind: str
    plural: str
    schema: Schema
    view: Any

    def serve(self) -> None:
        """Adds the handlers to the blueprint."""
        path, one = f"{_NAMESPACE}/{self.plural}", f"{_NAMESPACE}/{self.plural}/<name>"
        for method, rule, verb, handler in (
            ("GET", path, "list", self._list), ("DELETE", path, "clear", self._clear), ("GET", one, "show", self._show),
            ("PUT", one, "update", self._update), ("DELETE", one, "delete", self._delete),
        ):  # fmt: skip
            blueprint.add_url_rule(rule, f"{verb}_metadef_{self.plural}", handler, methods=[method])
        if self.kind != metadefs.TAG:  # tags are named by the path, or made many at once
            blueprint.add_url_rule(path, f"create_metadef_{self.kind}", self._create, methods=["POST"])

    def _list(self, namespace: str) -> Response:
        found = metadefs.find(read_session(), context(), namespace, f"get_metadef_{self.plural}")
        path = f"{_ROOT}/{namespace}/{self.plural}"
        if self.kind == metadefs.PROPERTY:
            held = metadefs.entries(read_session(), [found], self.kind)[found.id]
            return json_response({"properties": {entry.name: self.view(found, entry) for entry in held}})
        page = parse_page(_ENTRY_SORT, (("name", False),), maximum=1000)
        marker = metadefs.get(read_session(), found, self.kind, page.marker) if page.marker else None
        query = select(MetadefEntry).where(MetadefEntry.namespace_id == found.id, MetadefEntry.kind == self.kind)
        entries, more = fetch(read_session(), query, page, _ENTRY_SORT, MetadefEntry.name, marker_row=marker)
        body: dict[str, Any] = {
            self.plural: [self.view(found, entry) for entry in entries], "first": path,
            "schema": f"/v2/schemas/metadefs/{self.plural}",
        }  # fmt: skip
        if more and entries:
            body["next"] = next_link(path, entries[-1].name, page.limit, absolute=False)
        return json_response(body)

    def _create(self, namespace: str) -> Response:
        given = json_body(self.schema)
        found = metadefs.find(write_session(), context(), namespace, f"add_metadef_{self.kind}")
        made = metadefs.add(write_session(), found, self.kind, given)
        return _created(self.view(found, made), f"{_ROOT}/{namespace}/{self.plural}/{made.name}")

    def _show(self, namespace: str, name: str) -> Response:
        found = metadefs.find(read_session(), context(), namespace, f"get_metadef_{self.kind}")
        if self.kind == metadefs.PROPERTY:
            name = metadefs.unprefixed(read_session(), found, name, request.args.get("resource_type"))
        return json_response(self.view(found, metadefs.get(read_session(), found, self.kind, name)))

    def _update(self, namespace: str, name: str) -> Response:
        given = json_body(self.schema)
        found = metadefs.find(write_session(), context(), namespace, f"modify_metadef_{self.kind}")
        return json_response(self.view(found, metadefs.replace(write_session(), found, self.kind, name, given)))

    def _delete(self, namespace: str, name: str) -> Response:
        found = metadefs.find(write_session(), context(), namespace, _delete_rule(self.kind))
        metadefs.take(write_session(), found, self.kind, name)
        return empty()

    def _clear(self, namespace: str) -> Response:
        rule = "delete_metadef_tags" if self.kind == metadefs.TAG else "delete_metadef_namespace"
        found = metadefs.find(write_session(), context(), namespace, rule)
        metadefs.clear(write_session(), found, self.kind)
        return empty()


def _delete_rule(kind: str) -> str:
    """Glance has one rule that is called another way."""
    return "remove_metadef_property" if kind == metadefs.PROPERTY else f"delete_metadef_{kind}"


for _kind in (
    _Kind(metadefs.OBJECT, "objects", OBJECT, metadefs.object_view),
    _Kind(metadefs.PROPERTY, "properties", PROPERTY, metadefs.property_view),
    _Kind(metadefs.TAG, "tags", TAG, metadefs.tag_view),
):
    _kind.serve()


@blueprint.post(f"{_NAMESPACE}/tags")
def create_metadef_tags(namespace: str) -> Response:
    given = json_body(TAGS)["tags"]
    found = metadefs.find(write_session(), context(), namespace, "add_metadef_tags")
    append = request.headers.get("X-OpenStack-Append", "").lower() == "true"
    made = metadefs.set_tags(write_session(), found, given, append=append)
    return json_response({"tags": [{"name": tag.name} for tag in made]}, 201)


@blueprint.post(f"{_NAMESPACE}/tags/<name>")
def create_metadef_tag(namespace: str, name: str) -> Response:
    found = metadefs.find(write_session(), context(), namespace, "add_metadef_tag")
    made = metadefs.add(write_session(), found, metadefs.TAG, {"name": NAME.check(name)})
    return _created(metadefs.tag_view(found, made), f"{_ROOT}/{namespace}/tags/{name}")


@blueprint.get("/v2/metadefs/resource_types")
def list_resource_types() -> Response:
    policy.authorize(context(), "list_metadef_resource_types")
    return json_response({"resource_types": metadefs.resource_types(read_session())})


@blueprint.get(f"{_NAMESPACE}/resource_types")
def list_associations(namespace: str) -> Response:
    found = metadefs.find(read_session(), context(), namespace, "get_metadef_resource_type")
    held = metadefs.entries(read_session(), [found], metadefs.RESOURCE_TYPE)[found.id]
    return json_response({"resource_type_associations": [metadefs.type_view(entry) for entry in held]})


@blueprint.post(f"{_NAMESPACE}/resource_types")
def create_association(namespace: str) -> Response:
    given = json_body(TYPE_LINK)
    found = metadefs.find(write_session(), context(), namespace, "add_metadef_resource_type_association")
    made = metadefs.add(write_session(), found, metadefs.RESOURCE_TYPE, given)
    return _created(metadefs.type_view(made), f"{_ROOT}/{namespace}/resource_types/{made.name}")


@blueprint.delete(f"{_NAMESPACE}/resource_types/<name>")
def delete_association(namespace: str, name: str) -> Response:
    found = metadefs.find(write_session(), context(), namespace, "remove_metadef_resource_type_association")
    metadefs.take(write_session(), found, metadefs.RESOURCE_TYPE, name)
    return empty()
