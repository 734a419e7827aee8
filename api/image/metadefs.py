"""Metadata definitions: namespaces with objects, properties, tags and the resource types that they are for.

Nothing here enforces them; the dashboard and people read them to know which properties there are (API reference v2,
"Metadata Definitions").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, or_, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.http import policy
from api.http.context import Context
from api.http.faults import Conflict, Forbidden, NotFound
from api.http.responses import iso_seconds
from api.image.models import MetadefEntry, MetadefNamespace

OBJECT, PROPERTY, TAG, RESOURCE_TYPE = "object", "property", "tag", "resource_type"
RESOURCE_TYPES = (
    "OS::Glance::Image", "OS::Cinder::Volume", "OS::Nova::Flavor", "OS::Nova::Aggregate", "OS::Nova::Server",
    "OS::Trove::Instance",
)  # fmt: skip
"""Those that OpenStack's own definitions name; associations may name others."""
_SIMPLE = ("display_name", "description", "visibility", "protected", "owner")
_ROOT = "/v2/metadefs/namespaces"


def visible(context: Context) -> ColumnElement[bool]:
    """The namespaces that the caller may know of."""
    if context.is_admin:
        return true()
    return or_(MetadefNamespace.visibility == "public", MetadefNamespace.owner == context.project_id)


def find(session: Session, context: Context, name: str, rule: str) -> MetadefNamespace:
    """The namespace, when the caller may do `rule` there; 404 when it must not know of it."""
    query = select(MetadefNamespace).where(MetadefNamespace.namespace == name, visible(context))
    found = session.scalars(query).one_or_none()
    if found is None:
        raise NotFound(f"Metadata definition namespace {name} was not found")
    target = {"project_id": found.owner or "", "owner": found.owner or "", "visibility": found.visibility}
    policy.authorize(context, rule, target)
    return found


def matching(context: Context, visibility: str | None, resource_types: Iterable[str]) -> Select[Any]:
    """The namespaces that a list shows."""
    query = select(MetadefNamespace).where(visible(context))
    if visibility is not None:
        query = query.where(MetadefNamespace.visibility == visibility)
    if names := list(resource_types):
        having = select(MetadefEntry.namespace_id).where(
            MetadefEntry.kind == RESOURCE_TYPE, MetadefEntry.name.in_(names)
        )
        query = query.where(MetadefNamespace.id.in_(having))
    return query


def entries(session: Session, namespaces: Iterable[MetadefNamespace], *kinds: str) -> dict[str, list[MetadefEntry]]:
    """What these namespaces hold (of these kinds), by the namespace's id, in one query."""
    found: dict[str, list[MetadefEntry]] = {namespace.id: [] for namespace in namespaces}
    query = select(MetadefEntry).where(MetadefEntry.namespace_id.in_(found)).order_by(MetadefEntry.name)
    for entry in session.scalars(query.where(MetadefEntry.kind.in_(kinds)) if kinds else query):
        found[entry.namespace_id].append(entry)
    return found


def view(namespace: MetadefNamespace, held: list[MetadefEntry]) -> dict[str, Any]:
    """A namespace as the API shows it, with what of it is in `held`."""
    shown: dict[str, Any] = {
        "namespace": namespace.namespace, **{name: getattr(namespace, name) for name in _SIMPLE},
        "created_at": iso_seconds(namespace.created_at), "updated_at": iso_seconds(namespace.updated_at),
        "schema": "/v2/schemas/metadefs/namespace", "self": f"{_ROOT}/{namespace.namespace}",
    }  # fmt: skip
    by_kind = {kind: [entry for entry in held if entry.kind == kind] for kind in (OBJECT, PROPERTY, TAG, RESOURCE_TYPE)}
    if by_kind[RESOURCE_TYPE]:
        shown["resource_type_associations"] = [type_view(entry) for entry in by_kind[RESOURCE_TYPE]]
    if by_kind[PROPERTY]:
        shown["properties"] = {entry.name: entry.content for entry in by_kind[PROPERTY]}
    if by_kind[OBJECT]:
        shown["objects"] = [object_view(namespace, entry) for entry in by_kind[OBJECT]]
    if by_kind[TAG]:
        shown["tags"] = [{"name": entry.name} for entry in by_kind[TAG]]
    return shown


def _times(entry: MetadefEntry) -> dict[str, Any]:
    return {"created_at": iso_seconds(entry.created_at), "updated_at": iso_seconds(entry.updated_at)}


def object_view(namespace: MetadefNamespace, entry: MetadefEntry) -> dict[str, Any]:
    """An object as the API shows it."""
    return {"name": entry.name, **entry.content, **_times(entry), "schema": "/v2/schemas/metadefs/object",
            "self": f"{_ROOT}/{namespace.namespace}/objects/{entry.name}"}  # fmt: skip


def property_view(_namespace: MetadefNamespace, entry: MetadefEntry) -> dict[str, Any]:
    """A property as the API shows it."""
    return {"name": entry.name, **entry.content}


def tag_view(_namespace: MetadefNamespace, entry: MetadefEntry) -> dict[str, Any]:
    """A tag as the API shows it."""
    return {"name": entry.name, **_times(entry)}


def type_view(entry: MetadefEntry) -> dict[str, Any]:
    """A resource type of a namespace as the API shows it."""
    return {"name": entry.name, **entry.content, **_times(entry)}


def content_of(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """What of a body is kept beside the name."""
    ours = ("name", "created_at", "updated_at", "self", "schema")
    content = {name: value for name, value in given.items() if name not in ours}
    if kind == OBJECT:
        content = {"description": None, "required": [], "properties": {}} | content
    return content


def create(session: Session, context: Context, given: dict[str, Any]) -> MetadefNamespace:
    """A new namespace with all that the body has; 409 when its name is taken."""
    policy.authorize(context, "add_metadef_namespace")
    namespace = MetadefNamespace(namespace=given["namespace"], owner=context.project_id)
    _assign(namespace, given)
    session.add(namespace)
    _flush(session, f"The metadata definition namespace={namespace.namespace} already exists.")
    inner: list[tuple[str, dict[str, Any]]] = [
        *((RESOURCE_TYPE, entry) for entry in given.get("resource_type_associations", ())),
        *((PROPERTY, {**entry, "name": name}) for name, entry in given.get("properties", {}).items()),
        *((OBJECT, entry) for entry in given.get("objects", ())), *((TAG, entry) for entry in given.get("tags", ())),
    ]  # fmt: skip
    for kind, entry in inner:
        add(session, namespace, kind, entry)
    return namespace


def change(session: Session, context: Context, name: str, given: dict[str, Any]) -> MetadefNamespace:
    """The namespace as the body says; what it holds stays."""
    namespace = find(session, context, name, "modify_metadef_namespace")
    namespace.namespace = given["namespace"]
    _assign(namespace, {"visibility": "private", "protected": False} | given)
    namespace.updated_at = utcnow()
    _flush(session, f"The metadata definition namespace={namespace.namespace} already exists.")
    return namespace


def _assign(namespace: MetadefNamespace, given: dict[str, Any]) -> None:
    for name in _SIMPLE:
        if name in given:
            setattr(namespace, name, given[name])


def _flush(session: Session, taken: str) -> None:
    try:
        session.flush()
    except IntegrityError:
        raise Conflict(taken) from None


def remove(session: Session, context: Context, name: str) -> None:
    """Deletes a namespace with all that it holds; 403 while it is protected."""
    namespace = find(session, context, name, "delete_metadef_namespace")
    _check_unprotected(namespace)
    session.delete(namespace)


def _check_unprotected(namespace: MetadefNamespace) -> None:
    if namespace.protected:
        raise Forbidden(f"The metadata definition namespace {namespace.namespace} is protected and cannot be deleted.")


def get(session: Session, namespace: MetadefNamespace, kind: str, name: str) -> MetadefEntry:
    """What the namespace holds under that name; 404 when there is nothing."""
    found = session.get(MetadefEntry, (namespace.id, kind, name))
    if found is None:
        raise NotFound(f"The metadata definition {kind} with name={name} was not found in {namespace.namespace}.")
    return found


def add(session: Session, namespace: MetadefNamespace, kind: str, given: dict[str, Any]) -> MetadefEntry:
    """Puts something into the namespace; 409 when there is one of that name."""
    if session.get(MetadefEntry, (namespace.id, kind, given["name"])) is not None:
        raise Conflict(f"A metadata definition {kind} with name={given['name']} exists in {namespace.namespace}.")
    now = utcnow()
    entry = MetadefEntry(
        namespace_id=namespace.id, kind=kind, name=given["name"], content=content_of(kind, given), created_at=now,
        updated_at=now,
    )  # fmt: skip
    session.add(entry)
    session.flush()
    return entry


def replace(
    session: Session, namespace: MetadefNamespace, kind: str, name: str, given: dict[str, Any]
) -> MetadefEntry:
    """Makes of it what the body says, another name included."""
    entry = get(session, namespace, kind, name)
    if given["name"] != name:
        made = add(session, namespace, kind, given)
        made.created_at = entry.created_at
        session.delete(entry)
        session.flush()
        return made
    entry.content, entry.updated_at = content_of(kind, given), utcnow()
    session.flush()
    return entry


def take(session: Session, namespace: MetadefNamespace, kind: str, name: str) -> None:
    """Takes something out of the namespace; 403 while that is protected."""
    entry = get(session, namespace, kind, name)
    _check_unprotected(namespace)
    session.delete(entry)


def clear(session: Session, namespace: MetadefNamespace, kind: str) -> None:
    """Takes all of a kind out of the namespace."""
    _check_unprotected(namespace)
    session.execute(delete(MetadefEntry).where(MetadefEntry.namespace_id == namespace.id, MetadefEntry.kind == kind))


def set_tags(
    session: Session, namespace: MetadefNamespace, given: list[dict[str, Any]], *, append: bool
) -> list[MetadefEntry]:
    """Makes these the namespace's tags, or adds them."""
    if not append:
        session.execute(
            delete(MetadefEntry).where(MetadefEntry.namespace_id == namespace.id, MetadefEntry.kind == TAG)
        )
    return [add(session, namespace, TAG, tag) for tag in given]


def unprefixed(session: Session, namespace: MetadefNamespace, name: str, resource_type: str | None) -> str:
    """The property's own name, when it was asked for as it is called on a resource type."""
    if resource_type is None:
        return name
    prefix = get(session, namespace, RESOURCE_TYPE, resource_type).content.get("prefix") or ""
    if not name.startswith(prefix):
        raise NotFound(f"Property {name} does not begin with {prefix!r}, the prefix for {resource_type}.")
    return name.removeprefix(prefix)


def resource_types(session: Session) -> list[dict[str, Any]]:
    """The resource types there are: OpenStack's own, and what namespaces are associated with."""
    named = session.scalars(select(MetadefEntry.name).where(MetadefEntry.kind == RESOURCE_TYPE).distinct())
    return [{"name": name} for name in sorted({*RESOURCE_TYPES, *named})]
