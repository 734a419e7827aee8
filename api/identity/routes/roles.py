"""/v3/roles, implications, grants and /v3/role_assignments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request
from sqlalchemy import select

from api.http.current import read_session, write_session
from api.http.faults import BadRequest, NotFound
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import assignments, effective, grants, roles, schemas
from api.identity.models import DOMAIN, GROUP, PROJECT, SYSTEM, USER, Role
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, flag, listing, plain_list, scope_domain, self_link, visible

_FILTERS = {"id": Role.id, "name": Role.name, "domain_id": Role.domain_id}


def _authorize_role(rule: str, role_id: str) -> Role:
    """Roles of a domain have rules of their own."""
    role = read_session().get(Role, role_id)
    rule = rule.replace("role", "domain_role") if role is not None and role.domain_id else rule
    return visible(rule, Role, role_id, "role", lambda row: {"role__name": row.name, "role__domain_id": row.domain_id})


@blueprint.get("/v3/roles")
def list_roles() -> Response:
    of_domain = bool(request.args.get("domain_id"))
    authorize("list_domain_roles" if of_domain else "list_roles")
    query = select(Role) if of_domain else select(Role).where(Role.domain_id.is_(None))
    return listing("roles", "roles", query, _FILTERS, lambda _, found: [roles.view(role) for role in found])


@blueprint.post("/v3/roles")
def create_role() -> Response:
    given = json_body(schemas.ROLE_CREATE)["role"]
    authorize("create_domain_role" if given.get("domain_id") else "create_role")
    return json_response({"role": roles.view(roles.create(write_session(), given))}, 201)


@blueprint.get("/v3/roles/<role_id>")
def show_role(role_id: str) -> Response:
    return json_response({"role": roles.view(_authorize_role("get_role", role_id))})


@blueprint.patch("/v3/roles/<role_id>")
def update_role(role_id: str) -> Response:
    given = json_body(schemas.ROLE_UPDATE)["role"]
    _authorize_role("update_role", role_id)
    return json_response({"role": roles.view(roles.change(write_session(), role_id, given))})


@blueprint.delete("/v3/roles/<role_id>")
def delete_role(role_id: str) -> Response:
    _authorize_role("delete_role", role_id)
    roles.remove(write_session(), role_id)
    return empty()


@blueprint.get("/v3/role_inferences")
def list_inferences() -> Response:
    authorize("list_role_inference_rules")
    return plain_list("role_inferences", "role_inferences", roles.inferences(read_session()))


@blueprint.get("/v3/roles/<prior_id>/implies")
def list_implied(prior_id: str) -> Response:
    visible("list_implied_roles", Role, prior_id, "role", lambda _: {})
    found = roles.inferences(read_session(), prior_id)[0]
    return json_response({"role_inference": found, "links": {"self": self_link(f"roles/{prior_id}/implies")}})


@blueprint.put("/v3/roles/<prior_id>/implies/<implied_id>")
def imply(prior_id: str, implied_id: str) -> Response:
    authorize("create_implied_role")
    prior, implied = roles.imply(write_session(), prior_id, implied_id)
    shown = roles.inference(prior, [implied])
    return json_response({"role_inference": {**shown, "implies": shown["implies"][0]}}, 201)


@blueprint.get("/v3/roles/<prior_id>/implies/<implied_id>")
def show_implication(prior_id: str, implied_id: str) -> Response:
    authorize("check_implied_role" if request.method == "HEAD" else "get_implied_role")
    prior, implied = roles.implication(read_session(), prior_id, implied_id)
    if request.method == "HEAD":
        return empty()
    shown = roles.inference(prior, [implied])
    return json_response({"role_inference": {**shown, "implies": shown["implies"][0]}})


@blueprint.delete("/v3/roles/<prior_id>/implies/<implied_id>")
def stop_implying(prior_id: str, implied_id: str) -> Response:
    authorize("delete_implied_role")
    roles.stop_implying(write_session(), prior_id, implied_id)
    return empty()


Do = Callable[[grants.Place, str], Response]


def _list_grants(place: grants.Place, _role_id: str) -> Response:
    return plain_list("roles", request.path.removeprefix("/identity/v3/"),
                      [roles.view(role) for role in grants.listed(read_session(), place)])  # fmt: skip


def _check_grant(place: grants.Place, role_id: str) -> Response:
    grants.check(read_session(), place, role_id)
    return empty()


def _create_grant(place: grants.Place, role_id: str) -> Response:
    grants.grant(write_session(), place, role_id)
    return empty()


def _revoke_grant(place: grants.Place, role_id: str) -> Response:
    grants.revoke(write_session(), place, role_id)
    return empty()


def _authorize_grant(verb: str, place: grants.Place, role_id: str) -> None:
    """System grants have rules of their own. Who may not learns nothing of what is there."""
    plural = "s" if verb == "list" else ""
    where, whose = ("system_", f"_for_{place.actor_type}") if place.target_type == SYSTEM else ("", "")
    rule = f"{verb}_{where}grant{plural}{whose}"
    try:
        found = grants.targets(read_session(), place, role_id or None)
    except NotFound:
        authorize(rule)
        raise
    authorize(rule, **{name.removeprefix("target.").replace(".", "__"): value for name, value in found.items()})


def _handler(actor_type: str, target_type: str, inherited: bool, verb: str, do: Do) -> Callable[..., Response]:
    def handle(actor_id: str, target_id: str = "all", role_id: str = "") -> Response:
        place = grants.Place(actor_type, actor_id, target_type, target_id, inherited)
        _authorize_grant(verb, place, role_id)
        return do(place, role_id)

    return handle


def _add_grants() -> None:
    """The same four verbs for each kind of actor and target, inherited or not."""
    verbs: tuple[tuple[str, str, Do], ...] = (
        ("GET", "check", _check_grant),
        ("PUT", "create", _create_grant),
        ("DELETE", "revoke", _revoke_grant),
    )
    places = [(target, inherited) for target in (PROJECT, DOMAIN) for inherited in (False, True)] + [(SYSTEM, False)]
    for actor in (USER, GROUP):
        for target, inherited in places:
            where = "system" if target == SYSTEM else f"{target}s/<target_id>"
            path = f"/v3/{'OS-INHERIT/' if inherited else ''}{where}/{actor}s/<actor_id>/roles"
            end = "/inherited_to_projects" if inherited else ""
            name = f"{actor}_{target}{'_inherited' if inherited else ''}"
            handler = _handler(actor, target, inherited, "list", _list_grants)
            blueprint.add_url_rule(path + end, f"list_{name}", handler, methods=["GET"])
            for method, verb, do in verbs:
                handler = _handler(actor, target, inherited, verb, do)
                blueprint.add_url_rule(f"{path}/<role_id>{end}", f"{verb}_{name}", handler, methods=[method])


_add_grants()


@blueprint.get("/v3/role_assignments")
def list_role_assignments() -> Response:
    in_tree = flag("include_subtree")
    authorize("list_role_assignments_for_tree" if in_tree else "list_role_assignments", domain_id=scope_domain())
    found = assignments.find(read_session(), _wanted(in_tree), in_effect=flag("effective"))
    shown = assignments.views(read_session(), found, names=flag("include_names"))
    return plain_list("role_assignments", "role_assignments", shown)


def _wanted(in_tree: bool) -> assignments.Wanted:
    asked: Any = request.args
    project_id = asked.get("scope.project.id")
    project_ids = frozenset((project_id,)) if project_id else None
    if asked.get("user.id") and asked.get("group.id"):
        raise BadRequest("Specify a user or group, not both.")
    if flag("effective") and asked.get("group.id"):
        raise BadRequest("Combining effective and group filter will always result in an empty list.")
    if in_tree and project_id is None:
        raise BadRequest("scope.project.id must be specified if include_subtree is specified.")
    if in_tree and project_id is not None:
        project_ids = frozenset((project_id, *effective.descendants(read_session(), [project_id])))
    return assignments.Wanted(
        user_id=asked.get("user.id"), group_id=asked.get("group.id"), role_id=asked.get("role.id"),
        project_ids=project_ids, domain_id=asked.get("scope.domain.id"), system="scope.system" in asked,
        inherited=True if "scope.OS-INHERIT:inherited_to" in asked else None, in_domain=scope_domain(),
    )  # fmt: skip
