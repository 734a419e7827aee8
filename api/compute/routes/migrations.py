"""/os-migrations and /servers/{id}/migrations: the ways of servers, for operators."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.compute import lifecycle, migrations, queries
from api.compute.models import Migration, Server
from api.compute.routes.base import V2, answer, blueprint, readable, target
from api.http import paging, policy
from api.http.current import context, read_session
from api.http.faults import BadRequest, NotFound
from api.http.microversions import at_least, available, microversion
from api.http.responses import empty
from api.http.validation import json_body

RULE = "os_compute_api:os-migrations:index"
OF_SERVER = f"{V2}/servers/<server_id>/migrations"
_SORT_KEYS = {"created_at": Migration.created_at}


@blueprint.get(f"{V2}/os-migrations")
def list_migrations() -> Response:
    policy.authorize(context(), RULE)
    filters = dict(request.args)
    if filters.get("project_id") != context().project_id:
        policy.authorize(context(), f"{RULE}:all_projects")
    query = migrations.selected(filters)
    page = paging.parse_page(_SORT_KEYS, [("created_at", True)], maximum=queries.MAX_LIMIT) if at_least(2, 59) else None
    if at_least(2, 59) and (since := filters.get("changes-since")):
        query = query.where(Migration.updated_at >= queries.moment("changes-since", since))
    if at_least(2, 66) and (before := filters.get("changes-before")):
        if filters.get("changes-since", "") > before:
            raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
        query = query.where(Migration.updated_at <= queries.moment("changes-before", before))
    if page is None:
        found, more = list(read_session().scalars(query.order_by(Migration.number))), False
    else:
        marker = _marker(page.marker)
        found, more = paging.fetch(read_session(), query, page, _SORT_KEYS, Migration.number, marker_row=marker)
    with_hosts = policy.allowed(context(), f"{RULE}:host")
    body: dict[str, Any] = {
        "migrations": [migrations.shown(row, microversion(), with_hosts=with_hosts) for row in found]}  # fmt: skip
    if more and page is not None:
        link = paging.next_link(f"/compute{V2}/os-migrations", found[-1].id, page.limit)
        body["migrations_links"] = [{"rel": "next", "href": link}]
    return answer(body)


def _marker(id_: str | None) -> Migration | None:
    if id_ is None:
        return None
    found = read_session().query(Migration).filter(Migration.id == id_).one_or_none()
    if found is None:
        raise BadRequest(f"Marker {id_} could not be found.")
    return found


def _allowed(server_id: str, rule: str) -> Server:
    return readable(server_id, f"os_compute_api:servers:migrations:{rule}")


@blueprint.get(OF_SERVER)
@available(since=(2, 23))
def list_of_server(server_id: str) -> Response:
    server = _allowed(server_id, "index")
    with_hosts = policy.allowed(context(), "os_compute_api:servers:migrations:index:host", target(server))
    return answer({"migrations": [
        migrations.shown_of_server(row, microversion(), with_hosts=with_hosts)
        for row in migrations.in_progress(read_session(), server.id)]})  # fmt: skip


def _one(server: Server, number: str) -> Migration:
    for row in migrations.in_progress(read_session(), server.id):
        if str(row.number) == number:
            return row
    raise NotFound(f"In-progress live migration {number} is not found for server {server.id}.")


@blueprint.get(f"{OF_SERVER}/<number>")
@available(since=(2, 23))
def show_of_server(server_id: str, number: str) -> Response:
    row = _one(_allowed(server_id, "show"), number)
    return answer({"migration": migrations.shown_of_server(row, microversion(), with_hosts=True)})


@blueprint.delete(f"{OF_SERVER}/<number>")
@available(since=(2, 24))
def abort(server_id: str, number: str) -> Response:
    server = _allowed(server_id, "delete")
    lifecycle.check(context(), server, "abort_live_migration", "abort live migration")
    _one(server, number)
    return empty(202)


@blueprint.post(f"{OF_SERVER}/<number>/action")
@available(since=(2, 22))
def force_complete(server_id: str, number: str) -> Response:
    if set(json_body()) != {"force_complete"}:
        raise BadRequest("Name the action force_complete, and nothing else.")
    server = _allowed(server_id, "force_complete")
    lifecycle.check(context(), server, "force_complete")
    _one(server, number)
    return empty(202)
