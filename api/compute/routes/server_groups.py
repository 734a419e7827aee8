"""/os-server-groups."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.compute import group_schemas, queries, server_groups, versions
from api.compute.group_models import ANTI_AFFINITY, ServerGroup
from api.compute.routes.base import V2, answer, blueprint
from api.http import paging, policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest
from api.http.microversions import at_least, microversion
from api.http.responses import empty
from api.http.validation import json_body

GROUPS = f"{V2}/os-server-groups"
_RULE = "os_compute_api:os-server-groups"


def _shown(group: ServerGroup, members: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": group.id, "name": group.name, "members": members}
    if at_least(2, 13):
        body |= {"project_id": group.project_id, "user_id": group.user_id}
    if microversion() >= versions.GROUP_POLICY:
        return body | {"policy": group.policy, "rules": group.rules}
    return body | {"policies": [group.policy], "metadata": {}}


@blueprint.post(GROUPS)
def create_server_group() -> Response:
    policy.authorize(context(), f"{_RULE}:create")
    body = json_body(group_schemas.server_group_create(microversion()))["server_group"]
    kind, rules = body.get("policy") or body["policies"][0], body.get("rules") or {}
    if rules and kind != ANTI_AFFINITY:
        raise BadRequest("Only anti-affinity policy supports rules.")
    return answer({"server_group": _shown(server_groups.create(write_session(), context(), body["name"], kind, rules),
                                          [])})  # fmt: skip


@blueprint.get(GROUPS)
def list_server_groups() -> Response:
    policy.authorize(context(), f"{_RULE}:index")
    project_id = context().project_id
    if "all_projects" in request.args:
        policy.authorize(context(), f"{_RULE}:index:all_projects")
        project_id = None
    offset = _offset()
    limit = paging.parse_limit(queries.MAX_LIMIT) or queries.MAX_LIMIT
    session = read_session()
    groups = server_groups.listed(session, project_id, offset=offset, limit=limit)
    members = server_groups.members(session, [group.id for group in groups])
    return answer({"server_groups": [_shown(group, members[group.id]) for group in groups]})


def _offset() -> int:
    offset = paging.whole_number(request.args.get("offset") or "0")
    if offset is None:
        raise BadRequest("Invalid input for query parameter offset: it is a whole number of at least 0.")
    return offset


@blueprint.get(f"{GROUPS}/<group_id>")
def show_server_group(group_id: str) -> Response:
    group = server_groups.get(read_session(), context(), group_id, f"{_RULE}:show")
    return answer({"server_group": _shown(group, server_groups.members(read_session(), [group.id])[group.id])})


@blueprint.delete(f"{GROUPS}/<group_id>")
def delete_server_group(group_id: str) -> Response:
    session = write_session()
    server_groups.destroy(session, server_groups.get(session, context(), group_id, f"{_RULE}:delete"))
    return empty(204)
