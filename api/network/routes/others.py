"""Versions, extensions, quotas, agents, availability zones."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from api.config import settings
from api.http import policy
from api.http.current import context, public, read_session, write_session
from api.http.faults import NotFound
from api.http.responses import empty, json_response
from api.http.validation import Schema, json_body
from api.network import agents, lists, quotas
from api.network.extensions import EXTENSIONS
from api.network.kinds import KINDS

_LIMIT = {"type": "integer", "minimum": -1, "maximum": 2**31 - 1}
QUOTA = Schema({
    "type": "object", "required": ["quota"], "additionalProperties": False,
    "properties": {"quota": {"type": "object", "additionalProperties": False,
                             "properties": dict.fromkeys([*quotas.DEFAULTS], _LIMIT)
                             | dict.fromkeys(["tenant_id", "project_id"], {"type": "string"})
                             | dict.fromkeys(["check_limit", "force"], {"type": "boolean"})}},
})  # fmt: skip


def register(blueprint: Blueprint) -> None:
    """Adds the URLs."""
    for path, handler, methods in (
        ("/", versions, ["GET"]), ("/v2.0", resources, ["GET"]), ("/v2.0/extensions", list_extensions, ["GET"]),
        ("/v2.0/extensions/<alias>", show_extension, ["GET"]), ("/v2.0/quotas", list_quotas, ["GET"]),
        ("/v2.0/quotas/<project_id>", show_quota, ["GET"]), ("/v2.0/quotas/<project_id>", update_quota, ["PUT"]),
        ("/v2.0/quotas/<project_id>", delete_quota, ["DELETE"]),
        ("/v2.0/quotas/<project_id>/default", default_quota, ["GET"]),
        ("/v2.0/quotas/<project_id>/details", quota_details, ["GET"]),
        ("/v2.0/quotas/<project_id>/details.json", quota_details, ["GET"]),
        ("/v2.0/agents", list_agents, ["GET"]), ("/v2.0/agents/<id_>", show_agent, ["GET"]),
        ("/v2.0/availability_zones", list_zones, ["GET"]),
    ):  # fmt: skip
        endpoint = f"{handler.__name__}_{path.rpartition('/')[2].replace('.', '_')}"
        blueprint.add_url_rule(path, endpoint, handler, methods=methods)


@public
def versions() -> Response:
    """The version document."""
    links = [{"rel": "self", "href": f"{settings().url()}/network/v2.0/"}]
    return json_response({"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})


@public
def resources() -> Response:
    """What there is under this version."""
    names = [(kind.body.singular, kind.body.plural) for kind in KINDS.values()]
    names += [("extension", "extensions"), ("quota", "quotas"), ("agent", "agents"),
              ("availability_zone", "availability_zones")]  # fmt: skip
    return json_response({"resources": [
        {"name": singular, "collection": plural,
         "links": [{"rel": "self", "href": f"{settings().url()}/network/v2.0/"
                    f"{plural if plural == 'availability_zones' else plural.replace('_', '-')}"}]}
        for singular, plural in names
    ]})  # fmt: skip


def list_extensions() -> Response:
    """The extensions that are really there."""
    return json_response({"extensions": EXTENSIONS})


def show_extension(alias: str) -> Response:
    """One extension."""
    for extension in EXTENSIONS:
        if extension["alias"] == alias:
            return json_response({"extension": extension})
    raise NotFound(f"Extension with alias {alias} does not exist", kind="HTTPNotFound")


def _target(project_id: str) -> dict[str, Any]:
    return {"project_id": project_id, "tenant_id": project_id}


def list_quotas() -> Response:
    """Limits of the projects that have their own."""
    policy.authorize(context(), "update_quota")
    session = read_session()
    return json_response({"quotas": [
        quotas.limits(session, id_) | _target(id_) for id_ in quotas.projects(session)]})  # fmt: skip


def _may_read(project_id: str) -> None:
    """Neutron lets every member read their own project's limits by `openstack quota show`; others need the rule."""
    caller = context()
    if caller.project_id != project_id:
        policy.authorize(caller, "get_quota", _target(project_id))


def show_quota(project_id: str) -> Response:
    """A project's limits."""
    _may_read(project_id)
    return json_response({"quota": quotas.limits(read_session(), project_id)})


def default_quota(project_id: str) -> Response:
    """The limits of projects without their own."""
    _may_read(project_id)
    return json_response({"quota": dict(quotas.DEFAULTS)})


def quota_details(project_id: str) -> Response:
    """Limits with what is used."""
    _may_read(project_id)
    return json_response({"quota": quotas.details(read_session(), project_id)})


def update_quota(project_id: str) -> Response:
    """Sets limits."""
    wanted = QUOTA.check(json_body())["quota"]
    policy.authorize(context(), "update_quota", _target(project_id))
    limits = {key: value for key, value in wanted.items() if key in quotas.DEFAULTS}
    check = bool(wanted.get("check_limit"))
    return json_response({"quota": quotas.store(write_session(), project_id, limits, check=check)})


def delete_quota(project_id: str) -> Response:
    """Back to the defaults."""
    policy.authorize(context(), "delete_quota", _target(project_id))
    quotas.reset(write_session(), project_id)
    return empty()


def list_agents() -> Response:
    """Agents, filtered by any attribute."""
    policy.authorize(context(), "get_agent")
    found = agents.all_agents(read_session())
    for name, values in request.args.lists():
        if found and name in found[0]:
            wanted = {value.lower() for value in values}
            found = [agent for agent in found if str(agent[name]).lower() in wanted]
    return json_response({"agents": [lists.fields(agent) for agent in found]})


def show_agent(id_: str) -> Response:
    """One agent."""
    policy.authorize(context(), "get_agent")
    return json_response({"agent": agents.one_agent(read_session(), id_)})


def list_zones() -> Response:
    """Availability zones of networks and routers."""
    policy.authorize(context(), "get_availability_zone")
    return json_response({"availability_zones": agents.availability_zones(read_session())})
