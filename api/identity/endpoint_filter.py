"""Which endpoints a project's catalog shows (OS-EP-FILTER): those it is given, by themselves or by groups.

A project that is given none sees all.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from api.db.base import Base
from api.identity import rows
from api.identity.links import link
from api.identity.models import Endpoint, EndpointGroup, Project, ProjectEndpoint, ProjectEndpointGroup

_FILTERS = {"service_id": Endpoint.service_id, "interface": Endpoint.interface, "region_id": Endpoint.region_id}
_COLUMNS = ("name", "description", "filters")
T = TypeVar("T", bound=Base)


def view(group: EndpointGroup) -> dict[str, Any]:
    """A group of endpoints as the API shows it."""
    return {
        "id": group.id, "name": group.name, "description": group.description, "filters": group.filters,
        "links": {"self": link("OS-EP-FILTER", "endpoint_groups", group.id)},
    }  # fmt: skip


def create(session: Session, given: dict[str, Any]) -> EndpointGroup:
    """A new group."""
    return _store(session, EndpointGroup(), given)


def change(session: Session, group_id: str, given: dict[str, Any]) -> EndpointGroup:
    """The group, changed as the body says."""
    return _store(session, rows.get(session, EndpointGroup, group_id, "endpoint group"), given)


def _store(session: Session, group: EndpointGroup, given: dict[str, Any]) -> EndpointGroup:
    for name in _COLUMNS:
        if name in given:
            setattr(group, name, given[name])
    session.add(group)
    session.flush()
    return group


def remove(session: Session, group_id: str) -> None:
    """Deletes a group."""
    session.delete(rows.get(session, EndpointGroup, group_id, "endpoint group"))


def in_group(group: EndpointGroup) -> Select[Any]:
    """The endpoints that fit a group's filters."""
    return select(Endpoint).where(*(_FILTERS[name] == value for name, value in group.filters.items()))


def give(session: Session, table: type[T], project_id: str, given_id: str) -> None:
    """Shows an endpoint or a group (`table` says which) to a project; again changes nothing."""
    rows.get(session, Project, project_id, "project")
    if table is ProjectEndpoint:
        rows.get(session, Endpoint, given_id, "endpoint")
        row: Base = ProjectEndpoint(project_id=project_id, endpoint_id=given_id)
    else:
        rows.get(session, EndpointGroup, given_id, "endpoint group")
        row = ProjectEndpointGroup(project_id=project_id, endpoint_group_id=given_id)
    if session.get(table, (project_id, given_id)) is None:
        session.add(row)
        session.flush()


def given(session: Session, table: type[T], project_id: str, given_id: str) -> T:
    """The association, or 404."""
    return session.get(table, (project_id, given_id)) or rows.missing(f"{given_id} among the project's endpoints")


def visible(session: Session) -> dict[str, set[str]]:
    """For each project that is given any: the ids of the endpoints that it sees."""
    found: dict[str, set[str]] = defaultdict(set)
    for project_id, endpoint_id in session.execute(select(ProjectEndpoint.project_id, ProjectEndpoint.endpoint_id)):
        found[project_id].add(endpoint_id)
    by_group: dict[str, list[str]] = {}
    query = select(ProjectEndpointGroup.project_id, EndpointGroup).join(
        EndpointGroup, EndpointGroup.id == ProjectEndpointGroup.endpoint_group_id
    )
    for project_id, group in session.execute(query):
        if group.id not in by_group:
            by_group[group.id] = [endpoint.id for endpoint in session.scalars(in_group(group))]
        found[project_id].update(by_group[group.id])
    return dict(found)


def of_project(session: Session, project_id: str) -> list[Endpoint]:
    """The endpoints that a project was given, by itself or by groups."""
    rows.get(session, Project, project_id, "project")
    ids = visible(session).get(project_id, set())
    return list(session.scalars(select(Endpoint).where(Endpoint.id.in_(ids)).order_by(Endpoint.id)))
