"""/servers: create, list, show, update, delete, and what hangs on a server to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response, request

from api.compute import create, history, lifecycle, queries, server_schemas, views
from api.compute.models import InstanceAction, Server
from api.compute.routes.base import V2, answer, blueprint, readable
from api.compute.schemas import truth
from api.http import paging, policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest, NotFound
from api.http.microversions import at_least, microversion
from api.http.responses import empty, iso_micro
from api.http.validation import json_body
from api.network import service as network


@blueprint.post(f"{V2}/servers")
def create_servers() -> Response:
    body = json_body(server_schemas.create(microversion()))
    password = body["server"].get("adminPass") or create.admin_password()
    wanted = create.request_of(context(), server_schemas.fields(body) | {"admin_password": password})
    servers = create.create(write_session(), context(), wanted)
    location = {"Location": f"{views.base_url()}{V2}/servers/{servers[0].id}"}
    if truth(body["server"].get("return_reservation_id", False)):
        return answer({"reservation_id": servers[0].reservation_id}, 202, location)
    return answer(views.created(servers, password, wanted.security_groups), 202, location)


def _page(path: str, rule: str, columns: Sequence[Any]) -> tuple[list[views.Shown], list[dict[str, str]]]:
    session = read_session()
    policy.authorize(context(), rule)
    filters = queries.filters_of(context(), microversion(), request.args)
    page = paging.parse_page(queries.SORT_KEYS, [("created_at", True)], maximum=queries.MAX_LIMIT)
    if not context().is_admin and any(key in ("host", "node") for key, _ in page.sort):
        raise BadRequest("Sorting by host is for administrators.")
    query = queries.select_servers(session, context(), microversion(), filters, rule)
    marker = queries.marker_of(session, context(), page.marker)
    rows, more = paging.fetch(session, query.with_only_columns(*columns), page, queries.SORT_KEYS, Server.number,
                              marker_row=marker, as_rows=True)  # fmt: skip
    if not more or not rows:
        return rows, []
    return rows, [{"rel": "next", "href": paging.next_link(f"/compute{V2}/{path}", rows[-1].id, page.limit)}]


@blueprint.get(f"{V2}/servers")
def list_servers() -> Response:
    rows, more = _page("servers", "os_compute_api:servers:index", (Server.id, Server.name))
    body: dict[str, Any] = {"servers": [views.brief(row) for row in rows]}
    return answer(body | {"servers_links": more} if more else body)


@blueprint.get(f"{V2}/servers/detail")
def list_servers_detail() -> Response:
    look = views.look_of(context(), microversion())
    columns = (*views.COLUMNS, Server.user_data) if look.extended else views.COLUMNS
    rows, more = _page("servers/detail", "os_compute_api:servers:detail", columns)
    body: dict[str, Any] = {"servers": views.details(read_session(), rows, look)}
    return answer(body | {"servers_links": more} if more else body)


@blueprint.get(f"{V2}/servers/<server_id>")
def show_server(server_id: str) -> Response:
    server = readable(server_id, "os_compute_api:servers:show", deleted=True)
    look = views.look_of(context(), microversion(), groups=True)
    return answer({"server": views.detail(read_session(), server, look)})


@blueprint.put(f"{V2}/servers/<server_id>")
def update_server(server_id: str) -> Response:
    changes = server_schemas.changes(json_body(server_schemas.update(microversion()))["server"])
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, "os_compute_api:servers:update")
    lifecycle.update(context(), server, changes)
    look = views.look_of(context(), microversion(), full=at_least(2, 75), groups=True)
    return answer({"server": views.detail(session, server, look)})


@blueprint.delete(f"{V2}/servers/<server_id>")
def delete_server(server_id: str) -> Response:
    session = write_session()
    lifecycle.delete(
        session, context(), lifecycle.for_change(session, context(), server_id, "os_compute_api:servers:delete")
    )
    return empty(204)


@blueprint.get(f"{V2}/servers/<server_id>/ips")
def list_addresses(server_id: str) -> Response:
    server = readable(server_id, "os_compute_api:ips:index")
    return answer({"addresses": _addresses(server)})


@blueprint.get(f"{V2}/servers/<server_id>/ips/<network_name>")
def list_addresses_of_network(server_id: str, network_name: str) -> Response:
    found = _addresses(readable(server_id, "os_compute_api:ips:show"))
    if network_name not in found:
        raise NotFound("Instance is not a member of specified network")
    return answer({network_name: found[network_name]})


def _addresses(server: Server) -> dict[str, Any]:
    return views.addresses(network.server_ports(read_session(), [server.id])[server.id], extended=False)


@blueprint.get(f"{V2}/servers/<server_id>/os-security-groups")
def list_security_groups(server_id: str) -> Response:
    server = readable(server_id, "os_compute_api:os-security-groups:list")
    ports = network.server_ports(read_session(), [server.id])[server.id]
    groups = dict.fromkeys(group for port in ports for group in port.security_groups)
    return answer({"security_groups": [
        {"id": id_, "name": name, "description": "", "rules": [], "tenant_id": server.project_id}
        for id_, name in groups]})  # fmt: skip


def _action(noted: InstanceAction) -> dict[str, Any]:
    body = {
        "action": noted.action, "instance_uuid": noted.server_id, "request_id": noted.request_id,
        "user_id": noted.user_id, "project_id": noted.project_id, "start_time": iso_micro(noted.start_time),
        "message": noted.message,
    }  # fmt: skip
    return body | {"updated_at": iso_micro(noted.updated_at)} if at_least(2, 58) else body


@blueprint.get(f"{V2}/servers/<server_id>/os-instance-actions")
def list_actions(server_id: str) -> Response:
    server = readable(server_id, "os_compute_api:os-instance-actions:list", deleted=at_least(2, 21))
    found = history.actions_of(read_session(), server.id)
    if not at_least(2, 58):
        return answer({"instanceActions": [_action(noted) for noted in found]})
    limit = paging.parse_limit(queries.MAX_LIMIT) or queries.MAX_LIMIT
    if since := request.args.get("changes-since"):
        found = [noted for noted in found if noted.updated_at >= queries.moment("changes-since", since)]
    if at_least(2, 66) and (before := request.args.get("changes-before")):
        found = [noted for noted in found if noted.updated_at <= queries.moment("changes-before", before)]
    if marker := request.args.get("marker"):
        ids = [noted.request_id for noted in found]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        found = found[ids.index(marker) + 1 :]
    body: dict[str, Any] = {"instanceActions": [_action(noted) for noted in found[:limit]]}
    if len(found) > limit:
        path = f"/compute{V2}/servers/{server.id}/os-instance-actions"
        body["links"] = [{"rel": "next", "href": paging.next_link(path, found[limit - 1].request_id, limit)}]
    return answer(body)


@blueprint.get(f"{V2}/servers/<server_id>/os-instance-actions/<request_id>")
def show_action(server_id: str, request_id: str) -> Response:
    server = readable(server_id, "os_compute_api:os-instance-actions:show", deleted=at_least(2, 21))
    noted = history.find(read_session(), server.id, request_id)
    if noted is None:
        raise NotFound(f"Action for request_id {request_id} on instance {server_id} not found")
    body = _action(noted)
    admin = policy.allowed(context(), "os_compute_api:os-instance-actions:events")
    if admin or at_least(2, 51):
        body["events"] = [_event(server, step, admin=admin) for step in history.steps_of(read_session(), noted)]
    return answer({"instanceAction": body})


def _event(server: Server, step: dict[str, Any], *, admin: bool) -> dict[str, Any]:
    """A step of the playbook. What the module said when it failed is `details`, for admins from 2.84 on."""
    failed = step.get("result") in ("failed", "unreachable", "Error")
    result = {"ok": "Success", "changed": "Success", "skipped": "Success"}.get(str(step.get("result")))
    body: dict[str, Any] = {
        "event": step.get("name"), "start_time": _time(step.get("started_at")),
        "finish_time": _time(step.get("finished_at")), "result": "Error" if failed else result or step.get("result"),
    }  # fmt: skip
    if admin:
        body["traceback"] = step.get("message") if failed else None
    if at_least(2, 62):
        body["hostId"] = views.host_id(server)
        if admin:
            body["host"] = step.get("host")
    if at_least(2, 84) and policy.allowed(context(), "os_compute_api:os-instance-actions:events:details"):
        body["details"] = step.get("message") if failed else None
    return body


def _time(text: Any) -> str | None:
    """A step's time, which is ISO text, as this API writes it."""
    return iso_micro(queries.moment("time", str(text))) if text else None
