"""GET /v3/role_assignments: who has which role where, as given or in effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.identity import effective
from api.identity.links import link
from api.identity.models import (
    DOMAIN,
    GROUP,
    PROJECT,
    SYSTEM,
    SYSTEM_TARGET,
    USER,
    Assignment,
    Group,
    Membership,
    Project,
    Role,
    User,
)


@dataclass(frozen=True)
class Wanted:
    """The filters of a request. None: any."""

    user_id: str | None = None
    group_id: str | None = None
    role_id: str | None = None
    project_ids: frozenset[str] | None = None
    domain_id: str | None = None
    system: bool = False
    inherited: bool | None = None
    in_domain: str | None = None
    """What a domain-scoped caller may see: the domain itself and its projects."""


@dataclass(frozen=True)
class Entry:
    """One line of the answer; the links' sources are set when the line follows from another assignment."""

    actor_type: str
    actor_id: str
    target_type: str
    target_id: str
    role_id: str
    inherited: bool
    source: tuple[str, str] | None = None
    via_group: str | None = None
    prior_role: str | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return (self.actor_type, self.actor_id, self.target_type, self.target_id, self.role_id)


def find(session: Session, wanted: Wanted, *, in_effect: bool) -> list[Entry]:
    """The assignments that fit, as given, or as they work out for users (groups, inheritance and implications)."""
    query = select(Assignment).order_by(
        Assignment.actor_type.desc(), Assignment.actor_id, Assignment.target_type, Assignment.target_id,
        Assignment.role_id,
    )  # fmt: skip
    if wanted.group_id is not None and not in_effect:
        query = query.where(Assignment.actor_type == GROUP, Assignment.actor_id == wanted.group_id)
    if wanted.user_id is not None:
        if in_effect:
            query = query.where(effective.is_actor(wanted.user_id, effective.group_ids(session, wanted.user_id)))
        else:
            query = query.where(Assignment.actor_type == USER, Assignment.actor_id == wanted.user_id)
    entries: Iterable[Entry] = (
        Entry(row.actor_type, row.actor_id, row.target_type, row.target_id, row.role_id, row.inherited)
        for row in session.scalars(query)
    )
    if in_effect:
        entries = _in_effect(session, list(entries))
    visible = _domain_targets(session, wanted.in_domain) if wanted.in_domain else None
    return [entry for entry in entries if _fits(entry, wanted) and (visible is None or entry.target_id in visible)]


def _fits(entry: Entry, wanted: Wanted) -> bool:
    return (
        (wanted.user_id is None or (entry.actor_type, entry.actor_id) == (USER, wanted.user_id))
        and (wanted.role_id is None or entry.role_id == wanted.role_id)
        and (wanted.project_ids is None or (entry.target_type == PROJECT and entry.target_id in wanted.project_ids))
        and (wanted.domain_id is None or (entry.target_type == DOMAIN and entry.target_id == wanted.domain_id))
        and (not wanted.system or entry.target_type == SYSTEM)
        and (wanted.inherited is None or (entry.inherited or entry.source is not None) == wanted.inherited)
    )


def _domain_targets(session: Session, domain_id: str) -> set[str]:
    return {domain_id, *session.scalars(select(Project.id).where(Project.domain_id == domain_id))}


def _in_effect(session: Session, given: list[Entry]) -> Iterator[Entry]:
    implied = effective.implications(session)
    members: dict[str, list[str]] = {}
    for group_id, user_id in session.execute(select(Membership.group_id, Membership.user_id)):
        members.setdefault(group_id, []).append(user_id)
    domain_roles = set(session.scalars(select(Role.id).where(Role.domain_id.is_not(None))))
    below: dict[str, list[str]] = {}
    seen: set[tuple[str, ...]] = set()
    for entry in given:
        actors: list[tuple[str, str | None]] = [(entry.actor_id, None)] if entry.actor_type == USER else [
            (user_id, entry.actor_id) for user_id in members.get(entry.actor_id, ())]  # fmt: skip
        places: list[tuple[str, str, tuple[str, str] | None]] = [(entry.target_type, entry.target_id, None)]
        if entry.inherited:
            if entry.target_id not in below:
                below[entry.target_id] = sorted(effective.descendants(session, [entry.target_id]))
            source_target = (entry.target_type, entry.target_id)
            places = [(PROJECT, project_id, source_target) for project_id in below[entry.target_id]]
        role_ids = sorted(effective.closure([entry.role_id], implied), key=lambda role_id: role_id != entry.role_id)
        for user_id, via_group in actors:
            for target_type, target_id, source in places:
                for role_id in role_ids:
                    line = replace(
                        entry, actor_type=USER, actor_id=user_id, target_type=target_type, target_id=target_id,
                        role_id=role_id, inherited=False, source=source, via_group=via_group,
                        prior_role=None if role_id == entry.role_id else entry.role_id,
                    )  # fmt: skip
                    if line.key not in seen and role_id not in domain_roles:
                        seen.add(line.key)
                        yield line


def views(session: Session, entries: list[Entry], *, names: bool) -> list[dict[str, Any]]:
    """The answer's lines, with names when asked for."""
    known = _Names(session) if names else None
    return [_view(entry, known) for entry in entries]


def _view(entry: Entry, names: _Names | None) -> dict[str, Any]:
    scope: dict[str, Any]
    if entry.target_type == SYSTEM:
        scope = {SYSTEM: {SYSTEM_TARGET: True}}
    else:
        scope = {entry.target_type: names.target(entry.target_id) if names else {"id": entry.target_id}}
    if entry.inherited or entry.source:
        scope["OS-INHERIT:inherited_to"] = "projects"
    links = {"assignment": _assignment_link(entry)}
    if entry.via_group:
        links["membership"] = link("groups", entry.via_group, "users", entry.actor_id)
    if entry.prior_role:
        links["prior_role"] = link("roles", entry.prior_role, "implies", entry.role_id)
    return {
        "role": names.role(entry.role_id) if names else {"id": entry.role_id},
        entry.actor_type: names.actor(entry.actor_type, entry.actor_id) if names else {"id": entry.actor_id},
        "scope": scope, "links": links,
    }  # fmt: skip


def _assignment_link(entry: Entry) -> str:
    """The link to the assignment that the line follows from."""
    target_type, target_id = entry.source or (entry.target_type, entry.target_id)
    actor = ("groups", entry.via_group) if entry.via_group else (f"{entry.actor_type}s", entry.actor_id)
    where = ("system",) if target_type == SYSTEM else (f"{target_type}s", target_id)
    path = (*where, *actor, "roles", entry.prior_role or entry.role_id)
    if entry.inherited or entry.source:
        return link("OS-INHERIT", *path, "inherited_to_projects")
    return link(*path)


class _Names:
    """The names of everything that the lines speak of, by four queries."""

    def __init__(self, session: Session) -> None:
        # The tables are small next to the lines that groups, inheritance and implications make of them: read whole.
        self._projects = {
            row.id: row for row in session.execute(select(Project.id, Project.name, Project.domain_id))
        }
        self._actors = {
            (kind, row.id): row
            for kind, table in ((USER, User), (GROUP, Group))
            for row in session.execute(select(table.id, table.name, table.domain_id))
        }
        self._roles = {row.id: row for row in session.execute(select(Role.id, Role.name, Role.domain_id))}

    def _domain(self, domain_id: str) -> dict[str, Any]:
        return {"id": domain_id, "name": self._projects[domain_id].name}

    def target(self, project_id: str) -> dict[str, Any]:
        row = self._projects.get(project_id)
        if row is None:
            return {"id": project_id, "name": ""}
        shown = {"id": project_id, "name": row.name}
        return shown if row.domain_id is None else {**shown, "domain": self._domain(row.domain_id)}

    def actor(self, kind: str, actor_id: str) -> dict[str, Any]:
        row = self._actors.get((kind, actor_id))
        if row is None:
            return {"id": actor_id, "name": ""}
        return {"id": actor_id, "name": row.name, "domain": self._domain(row.domain_id)}

    def role(self, role_id: str) -> dict[str, Any]:
        row = self._roles[role_id]
        shown = {"id": role_id, "name": row.name}
        return shown if row.domain_id is None else {**shown, "domain": self._domain(row.domain_id)}
