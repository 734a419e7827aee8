"""/v3/projects and /v3/domains."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from sqlalchemy import Select, func, select

from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import effective, projects, rows, schemas
from api.identity.models import Project, ProjectTag, User
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, flag, home_domain, listing, scope_domain, visible

_FILTERS = {
    "id": Project.id, "name": Project.name, "domain_id": Project.domain_id, "enabled": Project.enabled,
    "parent_id": Project.parent_id,
}  # fmt: skip
_DOMAIN_FILTERS = {"id": Project.id, "name": Project.name, "enabled": Project.enabled}


def _target(project: Project) -> dict[str, Any]:
    return {"project__id": project.id, "project__domain_id": project.domain_id or project.id}


def _project(project_id: str, rule: str) -> Project:
    return visible(rule, Project, project_id, "project", _target)


def _shown(project: Project) -> dict[str, Any]:
    session = write_session() if request.method != "GET" else read_session()
    return {"project": projects.views(session, [project])[0]}


def with_tags(query: Select[Any]) -> Select[Any]:
    """Adds the filters `tags` (all of them), `tags-any`, `not-tags`, `not-tags-any`."""
    for name, all_of, wanted in (
        ("tags", True, True), ("tags-any", False, True), ("not-tags", True, False), ("not-tags-any", False, False),
    ):  # fmt: skip
        if name in request.args:
            names = [tag for tag in request.args[name].split(",") if tag]
            has = select(ProjectTag.project_id).where(ProjectTag.name.in_(names)).group_by(ProjectTag.project_id)
            if all_of:
                has = has.having(func.count() == len(set(names)))
            query = query.where(Project.id.in_(has) if wanted else Project.id.not_in(has))
    return query


@blueprint.get("/v3/projects")
def list_projects() -> Response:
    authorize("list_projects", domain_id=scope_domain())
    query = with_tags(select(Project).where(Project.is_domain.is_(flag("is_domain"))))
    if domain_id := scope_domain():
        query = query.where(Project.domain_id == domain_id)
    return listing("projects", "projects", query, _FILTERS, projects.views)


@blueprint.post("/v3/projects")
def create_project() -> Response:
    given = json_body(schemas.PROJECT_CREATE)["project"]
    parent = read_session().get(Project, given.get("parent_id") or "")
    default = (parent.domain_id or parent.id) if parent else home_domain()
    authorize("create_domain" if given.get("is_domain") else "create_project",
              project__domain_id=given.get("domain_id") or default)  # fmt: skip
    return json_response(_shown(projects.create(write_session(), given, home_domain())), 201)


@blueprint.get("/v3/projects/<project_id>")
def show_project(project_id: str) -> Response:
    body = _shown(_project(project_id, "get_project"))
    body["project"] |= _relatives(project_id)
    return json_response(body)


def _relatives(project_id: str) -> dict[str, Any]:
    """What `parents_as_list`, `parents_as_ids`, `subtree_as_list`, `subtree_as_ids` ask for beside the project."""
    session, asked = read_session(), request.args
    found: dict[str, Any] = {}
    if "parents_as_list" in asked or "parents_as_ids" in asked:
        above = effective.ancestors(session, project_id)
        rows_above = [session.get_one(Project, id_) for id_ in above]
        nested: dict[str, Any] | None = None
        for id_ in reversed(above):
            nested = {id_: nested}
        found["parents"] = nested if "parents_as_ids" in asked else [
            {"project": shown} for shown in projects.views(session, rows_above)]  # fmt: skip
    if "subtree_as_list" in asked or "subtree_as_ids" in asked:
        below = list(session.scalars(select(Project).where(
            Project.id.in_(effective.descendants(session, [project_id]))).order_by(Project.name)))  # fmt: skip
        found["subtree"] = _nested(below, project_id) if "subtree_as_ids" in asked else [
            {"project": shown} for shown in projects.views(session, below)]  # fmt: skip
    return found


def _nested(below: list[Project], parent_id: str) -> dict[str, Any] | None:
    return {row.id: _nested(below, row.id) for row in below if row.parent_id == parent_id} or None


@blueprint.patch("/v3/projects/<project_id>")
def update_project(project_id: str) -> Response:
    given = json_body(schemas.PROJECT_UPDATE)["project"]
    _project(project_id, "update_project")
    return json_response(_shown(projects.change(write_session(), project_id, given)))


@blueprint.delete("/v3/projects/<project_id>")
def delete_project(project_id: str) -> Response:
    _project(project_id, "delete_project")
    projects.remove(write_session(), project_id)
    return empty()


@blueprint.get("/v3/projects/<project_id>/tags")
def list_tags(project_id: str) -> Response:
    project = _project(project_id, "list_project_tags")
    return json_response({"tags": projects.tags_of(read_session(), [project])[project_id]})


@blueprint.put("/v3/projects/<project_id>/tags")
def replace_tags(project_id: str) -> Response:
    names = json_body(schemas.TAGS)["tags"]
    _project(project_id, "update_project_tags")
    return json_response({"tags": projects.set_tags(write_session(), project_id, names)})


@blueprint.delete("/v3/projects/<project_id>/tags")
def delete_tags(project_id: str) -> Response:
    _project(project_id, "delete_project_tags")
    projects.set_tags(write_session(), project_id, ())
    return empty()


@blueprint.get("/v3/projects/<project_id>/tags/<tag>")
def check_tag(project_id: str, tag: str) -> Response:
    project = _project(project_id, "get_project_tag")
    if tag not in projects.tags_of(read_session(), [project])[project_id]:
        rows.missing(f"project tag: {tag}")
    return empty()


@blueprint.put("/v3/projects/<project_id>/tags/<tag>")
def add_tag(project_id: str, tag: str) -> Response:
    _project(project_id, "create_project_tag")
    projects.add_tag(write_session(), project_id, schemas.TAG.check(tag))
    return empty(201)


@blueprint.delete("/v3/projects/<project_id>/tags/<tag>")
def delete_tag(project_id: str, tag: str) -> Response:
    _project(project_id, "delete_project_tag")
    projects.remove_tag(write_session(), project_id, tag)
    return empty()


def _domain(domain_id: str, rule: str) -> Project:
    found = visible(rule, Project, domain_id, "domain", lambda row: {"domain__id": row.id})
    return found if found.is_domain else rows.missing(f"domain: {domain_id}")


@blueprint.get("/v3/domains")
def list_domains() -> Response:
    authorize("list_domains", domain__id=scope_domain())
    query = with_tags(select(Project).where(Project.is_domain.is_(True)))
    if domain_id := scope_domain():
        query = query.where(Project.id == domain_id)
    return listing("domains", "domains", query, _DOMAIN_FILTERS, projects.domain_views)


@blueprint.post("/v3/domains")
def create_domain() -> Response:
    given = json_body(schemas.DOMAIN_CREATE)["domain"]
    authorize("create_domain")
    domain = projects.create_domain(write_session(), given)
    return json_response({"domain": projects.domain_views(write_session(), [domain])[0]}, 201)


@blueprint.get("/v3/domains/<domain_id>")
def show_domain(domain_id: str) -> Response:
    domain = _domain(domain_id, "get_domain")
    return json_response({"domain": projects.domain_views(read_session(), [domain])[0]})


@blueprint.patch("/v3/domains/<domain_id>")
def update_domain(domain_id: str) -> Response:
    given = json_body(schemas.DOMAIN_UPDATE)["domain"]
    _domain(domain_id, "update_domain")
    domain = projects.change(write_session(), domain_id, given, "domain")
    return json_response({"domain": projects.domain_views(write_session(), [domain])[0]})


@blueprint.delete("/v3/domains/<domain_id>")
def delete_domain(domain_id: str) -> Response:
    _domain(domain_id, "delete_domain")
    projects.remove_domain(write_session(), domain_id)
    return empty()


@blueprint.get("/v3/auth/projects")
def my_projects() -> Response:
    return _projects_of(context().user_id, "auth/projects", enabled_only=True)


@blueprint.get("/v3/users/<user_id>/projects")
def user_projects(user_id: str) -> Response:
    visible("list_user_projects", User, user_id, "user",
            lambda user: {"user__id": user.id, "user__domain_id": user.domain_id})  # fmt: skip
    return _projects_of(user_id, f"users/{user_id}/projects", enabled_only=False)


def _projects_of(user_id: str, path: str, *, enabled_only: bool) -> Response:
    query = select(Project).where(
        Project.id.in_(effective.project_ids(read_session(), user_id)), Project.is_domain.is_(False))  # fmt: skip
    if enabled_only:
        query = query.where(Project.enabled.is_(True))
    return listing("projects", path, query, _FILTERS, projects.views)


@blueprint.get("/v3/auth/domains")
def my_domains() -> Response:
    query = select(Project).where(
        Project.id.in_(effective.domain_ids(read_session(), context().user_id)), Project.enabled.is_(True))  # fmt: skip
    return listing("domains", "auth/domains", query, _DOMAIN_FILTERS, projects.domain_views)


