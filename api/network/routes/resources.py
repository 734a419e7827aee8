"""List, create, show, update, delete: the same five for every kind of resource."""

from __future__ import annotations

from flask import Blueprint, Response

from api.db.session import database
from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.network import access, groups, lists, tags, views
from api.network.kinds import KINDS, Kind


def register(blueprint: Blueprint) -> None:
    """Adds the URLs of every kind."""
    for kind in KINDS.values():
        collection = f"/v2.0/{kind.body.plural.replace('_', '-')}"
        _add(blueprint, kind, collection)


def _add(blueprint: Blueprint, kind: Kind, collection: str) -> None:
    def index() -> Response:
        return json_response(list_all(kind))

    def create() -> Response:
        return json_response(create_some(kind), 201)

    def show(id_: str) -> Response:
        return json_response(show_one(kind, id_))

    def update(id_: str) -> Response:
        return json_response(update_one(kind, id_))

    def delete(id_: str) -> Response:
        delete_one(kind, id_)
        return empty()

    for method, path, handler in (
        ("GET", collection, index), ("POST", collection, create), ("GET", f"{collection}/<id_>", show),
        ("PUT", f"{collection}/<id_>", update), ("DELETE", f"{collection}/<id_>", delete),
    ):  # fmt: skip
        if method != "PUT" or kind.update is not None:
            blueprint.add_url_rule(path, f"{handler.__name__}_{kind.name}", handler, methods=[method])


def list_all(kind: Kind) -> dict[str, object]:
    """A page of the resources that the caller sees."""
    caller = context()
    target = {"project_id": caller.project_id, "tenant_id": caller.project_id,
              "network:project_id": caller.project_id, "security_group:project_id": caller.project_id}  # fmt: skip
    policy.authorize(caller, f"get_{kind.name}", target)
    if lists.needs_default_group(read_session(), caller, kind):
        with database().write() as session:
            groups.ensure_default(session, caller.project_id or "")
        read_session().rollback()
    return lists.page(read_session(), caller, kind)


def create_some(kind: Kind) -> dict[str, object]:
    """Creates one resource, or several: all or none."""
    caller = context()
    items, bulk = kind.body.items(json_body())
    taken = []
    for item in items:
        taggable = "tags" in item and kind.name != "security_group_rule"
        wanted = tags.checked(item["tags"]) if taggable else None
        plain = {key: value for key, value in item.items() if key != "tags" or not taggable}
        taken.append((kind.body.take(plain, create=True), wanted))
    session = write_session()
    rows = access.create(session, caller, kind, [values for values, _ in taken])
    tagged: dict[str, list[str]] = {}
    for row, (_, wanted) in zip(rows, taken, strict=True):
        if wanted:
            policy.authorize(caller, f"create_{kind.name}:tags", kind.target(session, row))
            tagged[row.id] = tags.store(session, row, wanted)
    more = views.of_new(session, caller, kind.table, rows, tagged)
    made = [kind.view(row, more) for row in rows]
    return {kind.body.plural: made} if bulk else {kind.body.singular: made[0]}


def show_one(kind: Kind, id_: str) -> dict[str, object]:
    """One resource."""
    caller, session = context(), read_session()
    row = kind.get(session, caller, id_)
    policy.authorize(caller, f"get_{kind.name}", kind.target(session, row))
    more = views.extras(session, caller, kind.table, [row])
    return {kind.body.singular: lists.fields(kind.view(row, more))}


def update_one(kind: Kind, id_: str) -> dict[str, object]:
    """Changes one resource."""
    caller = context()
    values = kind.body.take(kind.body.one(json_body()), create=False)
    session = write_session()
    row = access.change(session, caller, kind, id_, values)
    return {kind.body.singular: kind.view(row, views.extras(session, caller, kind.table, [row]))}


def delete_one(kind: Kind, id_: str) -> None:
    """Deletes one resource with its tags."""
    session = write_session()
    access.delete(session, context(), kind, id_)
    tags.clear(session, id_)
