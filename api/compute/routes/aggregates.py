"""/os-aggregates: for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from api.compute import aggregates, group_schemas
from api.compute.group_models import Aggregate
from api.compute.routes.base import V2, answer, blueprint
from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest
from api.http.microversions import at_least
from api.http.responses import empty, iso_micro
from api.http.validation import Schema, json_body

AGGREGATES = f"{V2}/os-aggregates"


def _allow(rule: str) -> None:
    policy.authorize(context(), f"os_compute_api:os-aggregates:{rule}")


def _brief(aggregate: Aggregate) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": aggregate.id, "name": aggregate.name, "availability_zone": aggregate.availability_zone,
        "created_at": iso_micro(aggregate.created_at), "updated_at": iso_micro(aggregate.updated_at),
        "deleted": False, "deleted_at": None,
    }  # fmt: skip
    return body | {"uuid": aggregate.uuid} if at_least(2, 41) else body


def _shown(aggregate: Aggregate) -> dict[str, Any]:
    zone = {aggregates.ZONE: aggregate.availability_zone} if aggregate.availability_zone is not None else {}
    return _brief(aggregate) | {"hosts": [row.host for row in aggregate.hosts], "metadata": aggregate.meta | zone}


@blueprint.get(AGGREGATES)
def list_aggregates() -> Response:
    _allow("index")
    return answer({"aggregates": [_shown(aggregate) for aggregate in aggregates.listed(read_session())]})


@blueprint.post(AGGREGATES)
def create_aggregate() -> Response:
    _allow("create")
    body = json_body(group_schemas.AGGREGATE_CREATE)["aggregate"]
    return answer({"aggregate": _brief(aggregates.create(write_session(), body["name"], body.get(aggregates.ZONE)))})


@blueprint.get(f"{AGGREGATES}/<id_>")
def show_aggregate(id_: str) -> Response:
    _allow("show")
    return answer({"aggregate": _shown(aggregates.get(read_session(), id_))})


@blueprint.put(f"{AGGREGATES}/<id_>")
def update_aggregate(id_: str) -> Response:
    _allow("update")
    body = json_body(group_schemas.AGGREGATE_UPDATE)["aggregate"]
    session = write_session()
    aggregate = aggregates.get(session, id_)
    aggregates.change(session, aggregate, body)
    return answer({"aggregate": _shown(aggregate)})


@blueprint.delete(f"{AGGREGATES}/<id_>")
def delete_aggregate(id_: str) -> Response:
    _allow("delete")
    session = write_session()
    aggregates.destroy(session, aggregates.get(session, id_))
    return empty(200)


_ACTIONS: dict[str, tuple[Schema, Callable[[Session, Aggregate, dict[str, Any]], None]]] = {
    "add_host": (group_schemas.ADD_HOST, lambda session, row, body: aggregates.add_host(session, row, body["host"])),
    "remove_host": (
        group_schemas.REMOVE_HOST, lambda session, row, body: aggregates.remove_host(session, row, body["host"])
    ),
    "set_metadata": (
        group_schemas.SET_METADATA, lambda session, row, body: aggregates.set_metadata(session, row, body["metadata"])
    ),
}  # fmt: skip


@blueprint.post(f"{AGGREGATES}/<id_>/action")
def change_aggregate(id_: str) -> Response:
    body = json_body()
    name = next(iter(body), "")
    if len(body) != 1 or name not in _ACTIONS:
        raise BadRequest(f"Name exactly one of {', '.join(_ACTIONS)} in the request body.")
    _allow(name)
    schema, carry_out = _ACTIONS[name]
    asked = schema.check(body)[name]
    session = write_session()
    aggregate = aggregates.get(session, id_)
    carry_out(session, aggregate, asked)
    return answer({"aggregate": _shown(aggregate)})
