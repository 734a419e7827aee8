"""/v3/OS-EP-FILTER: which endpoints a project's catalog shows."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response
from sqlalchemy import select

from api.http.current import read_session, write_session
from api.http.responses import empty
from api.identity import endpoint_filter, endpoints, projects, rows, schemas
from api.identity.models import Endpoint, EndpointGroup, Project, ProjectEndpoint, ProjectEndpointGroup
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, plain_list
from api.identity.routes.records import Records

_ROOT = "OS-EP-FILTER"
_MEMBER = f"/v3/{_ROOT}/projects/<project_id>/endpoints/<given_id>"
_GROUP_MEMBER = f"/v3/{_ROOT}/endpoint_groups/<given_id>/projects/<project_id>"
Association = type[ProjectEndpoint] | type[ProjectEndpointGroup]

Records(
    "endpoint_group", "endpoint_groups", EndpointGroup, {"id": EndpointGroup.id, "name": EndpointGroup.name},
    endpoint_filter.view, endpoint_filter.create, endpoint_filter.change, endpoint_filter.remove,
    (schemas.ENDPOINT_GROUP_CREATE, schemas.ENDPOINT_GROUP_UPDATE), path=f"{_ROOT}/endpoint_groups", order="name",
).serve()  # fmt: skip


def _serve(table: Association, path: str, noun: str, get_rule: str, get_status: int) -> None:
    """PUT, GET and DELETE of an association."""

    def add(project_id: str, given_id: str) -> Response:
        authorize(f"add_{noun}_to_project")
        endpoint_filter.give(write_session(), table, project_id, given_id)
        return empty()

    def check(project_id: str, given_id: str) -> Response:
        authorize(get_rule)
        endpoint_filter.given(read_session(), table, project_id, given_id)
        return empty(get_status)

    def remove(project_id: str, given_id: str) -> Response:
        authorize(f"remove_{noun}_from_project")
        session = write_session()
        session.delete(endpoint_filter.given(session, table, project_id, given_id))
        return empty()

    handlers: tuple[tuple[str, Callable[[str, str], Response]], ...] = (
        ("PUT", add), ("GET", check), ("DELETE", remove),
    )  # fmt: skip
    for method, handler in handlers:
        blueprint.add_url_rule(path, f"{method.lower()}_{noun}_of_project", handler, methods=[method])


_serve(ProjectEndpoint, _MEMBER, "endpoint", "check_endpoint_in_project", 204)
_serve(ProjectEndpointGroup, _GROUP_MEMBER, "endpoint_group", "get_endpoint_group_in_project", 200)


@blueprint.get(f"/v3/{_ROOT}/projects/<project_id>/endpoints")
def list_endpoints_of_project(project_id: str) -> Response:
    authorize("list_endpoints_for_project")
    found = endpoint_filter.of_project(read_session(), project_id)
    shown = [endpoints.endpoint_view(endpoint) for endpoint in found]
    return plain_list("endpoints", f"{_ROOT}/projects/{project_id}/endpoints", shown)


@blueprint.get(f"/v3/{_ROOT}/endpoints/<endpoint_id>/projects")
def list_projects_of_endpoint(endpoint_id: str) -> Response:
    authorize("list_projects_for_endpoint")
    rows.get(read_session(), Endpoint, endpoint_id, "endpoint")
    query = select(Project).join(ProjectEndpoint, ProjectEndpoint.project_id == Project.id).order_by(Project.name)
    found = read_session().scalars(query.where(ProjectEndpoint.endpoint_id == endpoint_id)).all()
    return plain_list("projects", f"{_ROOT}/endpoints/{endpoint_id}/projects", projects.views(read_session(), found))


@blueprint.get(f"/v3/{_ROOT}/endpoint_groups/<group_id>/projects")
def list_projects_of_group(group_id: str) -> Response:
    authorize("list_projects_associated_with_endpoint_group")
    rows.get(read_session(), EndpointGroup, group_id, "endpoint group")
    query = select(Project).join(ProjectEndpointGroup, ProjectEndpointGroup.project_id == Project.id)
    found = read_session().scalars(
        query.where(ProjectEndpointGroup.endpoint_group_id == group_id).order_by(Project.name)
    ).all()  # fmt: skip
    return plain_list("projects", f"{_ROOT}/endpoint_groups/{group_id}/projects",
                      projects.views(read_session(), found))  # fmt: skip


@blueprint.get(f"/v3/{_ROOT}/endpoint_groups/<group_id>/endpoints")
def list_endpoints_of_group(group_id: str) -> Response:
    authorize("list_endpoints_associated_with_endpoint_group")
    group = rows.get(read_session(), EndpointGroup, group_id, "endpoint group")
    found = read_session().scalars(endpoint_filter.in_group(group).order_by(Endpoint.id))
    shown = [endpoints.endpoint_view(endpoint) for endpoint in found]
    return plain_list("endpoints", f"{_ROOT}/endpoint_groups/{group_id}/endpoints", shown)


@blueprint.get(f"/v3/{_ROOT}/projects/<project_id>/endpoint_groups")
def list_groups_of_project(project_id: str) -> Response:
    authorize("list_endpoint_groups_for_project")
    rows.get(read_session(), Project, project_id, "project")
    query = select(EndpointGroup).join(
        ProjectEndpointGroup, ProjectEndpointGroup.endpoint_group_id == EndpointGroup.id
    )
    found = read_session().scalars(
        query.where(ProjectEndpointGroup.project_id == project_id).order_by(EndpointGroup.name)
    )
    shown = [endpoint_filter.view(group) for group in found]
    return plain_list("endpoint_groups", f"{_ROOT}/projects/{project_id}/endpoint_groups", shown)
