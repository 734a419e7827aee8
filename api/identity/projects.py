"""Projects and domains: making, changing and deleting them and what hangs on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from api.db import events
from api.db.base import new_hex_id, utcnow
from api.http.faults import BadRequest, Forbidden
from api.identity import effective, rows
from api.identity.links import link
from api.identity.models import DOMAIN, PROJECT, Assignment, Group, Project, ProjectTag, Role, User

MAX_DEPTH = 5
"""Levels of projects below a domain, as in OpenStack."""
_COLUMNS = ("name", "description", "enabled")
_NOT_EXTRA = ("domain_id", "parent_id", "is_domain", "tags", "options")


def tags_of(session: Session, projects: Sequence[Project]) -> dict[str, list[str]]:
    """The tags of each of these projects, in one query."""
    found: dict[str, list[str]] = {project.id: [] for project in projects}
    query = select(ProjectTag.project_id, ProjectTag.name).order_by(ProjectTag.name)
    if len(found) <= 500:
        query = query.where(ProjectTag.project_id.in_(found))
    for project_id, name in session.execute(query):
        if project_id in found:
            found[project_id].append(name)
    return found


def project_view(project: Project, tags: list[str]) -> dict[str, Any]:
    """A project as the API shows it."""
    return {
        **project.extra, "id": project.id, "name": project.name, "description": project.description,
        "domain_id": project.domain_id, "parent_id": project.parent_id, "is_domain": project.is_domain,
        "enabled": project.enabled, "tags": tags, "options": project.options,
        "links": {"self": link("projects", project.id)},
    }  # fmt: skip


def domain_view(domain: Project, tags: list[str]) -> dict[str, Any]:
    """A domain as the API shows it."""
    return {
        **domain.extra, "id": domain.id, "name": domain.name, "description": domain.description,
        "enabled": domain.enabled, "tags": tags, "options": domain.options,
        "links": {"self": link("domains", domain.id)},
    }  # fmt: skip


def views(session: Session, projects: Sequence[Project]) -> list[dict[str, Any]]:
    """Projects as the API shows them."""
    tags = tags_of(session, projects)
    return [project_view(project, tags[project.id]) for project in projects]


def domain_views(session: Session, domains: Sequence[Project]) -> list[dict[str, Any]]:
    """Domains as the API shows them."""
    tags = tags_of(session, domains)
    return [domain_view(domain, tags[domain.id]) for domain in domains]


def get_domain(session: Session, domain_id: str | None) -> Project:
    """The domain of that id, or 404."""
    domain = session.get(Project, domain_id) if domain_id else None
    return domain if domain is not None and domain.is_domain else rows.missing(f"domain: {domain_id}")


def create(session: Session, given: dict[str, Any], domain_id: str | None) -> Project:
    """A new project; `domain_id` is the caller's, for a body that names neither domain nor parent."""
    if given.get("is_domain"):
        if given.get("parent_id"):
            raise BadRequest("A domain cannot have a parent: leave parent_id out.")
        return create_domain(session, given)
    parent = _parent(session, given, domain_id)
    wanted = given.get("domain_id")
    own_domain = parent.id if parent.is_domain else parent.domain_id
    if wanted and wanted != own_domain:
        raise BadRequest("The parent project must be in the same domain.")
    if not parent.enabled:
        raise Forbidden(f"Cannot create a project under the disabled {parent.id}. Enable that first.")
    if len(effective.ancestors(session, parent.id)) >= MAX_DEPTH:
        raise Forbidden(f"Projects can be nested {MAX_DEPTH} levels deep at most.")
    return _store(session, Project(domain_id=own_domain, parent_id=parent.id), given, "project")


def create_domain(session: Session, given: dict[str, Any]) -> Project:
    """A new domain. An operator may give its id (`explicit_domain_id`)."""
    given = dict(given)
    explicit = given.pop("explicit_domain_id", None)
    return _store(session, Project(id=explicit or new_hex_id(), is_domain=True), given, "domain")


def _parent(session: Session, given: dict[str, Any], domain_id: str | None) -> Project:
    parent_id = given.get("parent_id") or given.get("domain_id") or domain_id
    if parent_id is None:
        raise BadRequest("Name the project's domain (domain_id): the token has none to take it from.")
    parent = session.get(Project, parent_id)
    if parent is None:
        raise BadRequest(f"Could not find the parent or domain {parent_id}.")
    return parent


def _store(session: Session, project: Project, given: dict[str, Any], noun: str) -> Project:
    rows.assign(project, {name: value for name, value in given.items() if name not in _NOT_EXTRA}, _COLUMNS)
    project.description = project.description or ""
    project.enabled = given.get("enabled", True)
    project.is_domain = bool(project.is_domain)
    rows.merge_options(project, given.get("options"))
    session.add(project)
    rows.flush(session, noun, project.name)
    set_tags(session, project.id, given.get("tags") or [])
    return project


def change(session: Session, project_id: str, given: dict[str, Any], noun: str = "project") -> Project:
    """The project or domain, changed as the body says. Disabling ends the tokens."""
    project = get_domain(session, project_id) if noun == "domain" else rows.get(session, Project, project_id, noun)
    rows.check_mutable(project, noun, project_id, given)
    for fixed in ("domain_id", "parent_id", "is_domain"):
        if noun == "project" and fixed in given and given[fixed] != getattr(project, fixed):
            status = Forbidden if fixed == "parent_id" else BadRequest
            raise status(f"{fixed} of a project cannot be changed.")
    enabled = given.get("enabled", project.enabled)
    if project.enabled and not enabled:
        _check_no_enabled_children(session, project)
        project.tokens_valid_after = utcnow()
    elif enabled and not project.enabled and project.parent_id:
        parent = session.get(Project, project.parent_id)
        if parent is not None and not parent.enabled:
            raise Forbidden(f"Cannot enable project {project_id} since it has a disabled parent.")
    rows.assign(project, {name: value for name, value in given.items() if name not in _NOT_EXTRA}, _COLUMNS)
    project.description = project.description or ""
    if "options" in given:
        rows.merge_options(project, given["options"])
    rows.flush(session, noun, project.name)
    if "tags" in given:
        set_tags(session, project_id, given["tags"])
    return project


def _check_no_enabled_children(session: Session, project: Project) -> None:
    if project.is_domain:
        return
    below = effective.descendants(session, [project.id])
    if session.scalar(select(Project.id).where(Project.id.in_(below), Project.enabled.is_(True)).limit(1)):
        raise Forbidden(f"Cannot disable project {project.id} since its subtree contains enabled projects.")


def remove(session: Session, project_id: str) -> None:
    """Deletes a project; 403 while it has children. Announces it first: what hangs on it may refuse or go along."""
    project = rows.get(session, Project, project_id, "project")
    if project.is_domain:
        remove_domain(session, project_id)
        return
    rows.check_mutable(project, "project", project_id)
    if session.scalar(select(Project.id).where(Project.parent_id == project_id).limit(1)):
        raise Forbidden(f"Cannot delete project {project_id} since it is not a leaf in the hierarchy.")
    _forget(session, project)


def _forget(session: Session, project: Project) -> None:
    events.announce(session, "project.before_delete", project_id=project.id)
    session.execute(delete(Assignment).where(
        Assignment.target_type == PROJECT, Assignment.target_id == project.id))  # fmt: skip
    session.execute(update(User).where(User.default_project_id == project.id).values(default_project_id=None))
    session.delete(project)
    session.flush()


def remove_domain(session: Session, domain_id: str) -> None:
    """Deletes a disabled domain with its users, groups, roles and projects; 403 while it is enabled."""
    domain = get_domain(session, domain_id)
    rows.check_mutable(domain, "domain", domain_id)
    if domain.enabled:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    from api.identity import groups, users  # they know projects too

    for user_id in session.scalars(select(User.id).where(User.domain_id == domain_id)).all():
        users.remove(session, user_id)
    for group_id in session.scalars(select(Group.id).where(Group.domain_id == domain_id)).all():
        groups.remove(session, group_id)
    for project in _leaves_first(session, domain_id):
        _forget(session, project)
    session.execute(delete(Role).where(Role.domain_id == domain_id))
    session.execute(delete(Assignment).where(
        Assignment.target_type == DOMAIN, Assignment.target_id == domain_id))  # fmt: skip
    session.delete(domain)
    session.flush()


def _leaves_first(session: Session, domain_id: str) -> list[Project]:
    levels: list[list[Project]] = [list(session.scalars(select(Project).where(Project.parent_id == domain_id)))]
    while levels[-1]:
        parents = [project.id for project in levels[-1]]
        levels.append(list(session.scalars(select(Project).where(Project.parent_id.in_(parents)))))
    return [project for level in reversed(levels) for project in level]


def set_tags(session: Session, project_id: str, names: Iterable[str]) -> list[str]:
    """Makes these the project's tags."""
    wanted = sorted(set(names))
    session.execute(delete(ProjectTag).where(ProjectTag.project_id == project_id))
    session.add_all(ProjectTag(project_id=project_id, name=name) for name in wanted)
    session.flush()
    return wanted


def add_tag(session: Session, project_id: str, name: str) -> None:
    """Adds one tag, if it is not there."""
    if session.get(ProjectTag, (project_id, name)) is None:
        session.add(ProjectTag(project_id=project_id, name=name))


def remove_tag(session: Session, project_id: str, name: str) -> None:
    """Takes one tag away; 404 when it is not there."""
    tag = session.get(ProjectTag, (project_id, name))
    session.delete(tag if tag is not None else rows.missing(f"project tag: {name}"))
