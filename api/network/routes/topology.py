"""The automatic topology of a project, and how full networks are."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.network import availability, faults, lists, topology


def register(blueprint: Blueprint) -> None:
    """Adds the URLs."""
    for path, handler, method in (
        ("/v2.0/auto-allocated-topology/<project_id>", show_topology, "GET"),
        ("/v2.0/auto-allocated-topology/<project_id>", delete_topology, "DELETE"),
        ("/v2.0/network-ip-availabilities", list_availabilities, "GET"),
        ("/v2.0/network-ip-availabilities/<network_id>", show_availability, "GET"),
    ):
        blueprint.add_url_rule(path, handler.__name__, handler, methods=[method])


def _project(text: str, verb: str) -> str:
    """Whose topology is meant; `None` stands for the caller's own project (the clients send it)."""
    caller = context()
    project_id = (caller.project_id or "") if text == "None" else text
    rule = f"{verb}_auto_allocated_topology"
    policy.authorize(caller, rule, {"project_id": project_id, "tenant_id": project_id})
    return project_id


def show_topology(project_id: str) -> Response:
    """The project's network, made when it is first asked for; `?fields=dry-run` only tells whether it could be."""
    owner, wanted = _project(project_id, "get"), set(request.args.getlist("fields"))
    if "dry-run" in wanted:
        topology.requirements(read_session())
        return json_response({"auto_allocated_topology": {"id": "dry-run=pass", "tenant_id": owner}})
    if wanted - {"id", "tenant_id", "project_id"}:
        raise faults.bad("BadRequest", "Bad auto_allocate request: Unrecognized field.")
    if (known := topology.of(read_session(), owner)) is not None:
        return _answer(known.network_id, owner)
    return _answer(topology.ensure(write_session(), context(), owner), owner)


def _answer(id_: str, project_id: str) -> Response:
    return json_response({"auto_allocated_topology": lists.fields(
        {"id": id_, "tenant_id": project_id, "project_id": project_id})})  # fmt: skip


def delete_topology(project_id: str) -> Response:
    """Takes it away."""
    owner = _project(project_id, "delete")
    topology.remove(write_session(), context(), owner)
    return empty()


def list_availabilities() -> Response:
    """How full networks are, filtered by network or project."""
    policy.authorize(context(), "get_network_ip_availability")
    ids = request.args.getlist("network_id") or None
    found = availability.of_networks(read_session(), ids)
    for name in ("network_name", "tenant_id", "project_id"):
        if wanted := set(request.args.getlist(name)):
            found = [one for one in found if one[name] in wanted]
    return json_response({"network_ip_availabilities": found})


def show_availability(network_id: str) -> Response:
    """How full a network is."""
    policy.authorize(context(), "get_network_ip_availability")
    found = availability.of_networks(read_session(), [network_id])
    if not found:
        raise faults.not_found("network", network_id)
    return json_response({"network_ip_availability": found[0]})
