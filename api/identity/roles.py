"""Roles and which role implies which."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.faults import BadRequest, Forbidden
from api.identity import effective, projects, rows
from api.identity.links import link
from api.identity.models import ImpliedRole, Role

_COLUMNS = ("name", "description")
_NOT_EXTRA = ("domain_id", "options")


def view(role: Role) -> dict[str, Any]:
    """A role as the API shows it."""
    return {
        **role.extra, "id": role.id, "name": role.name, "domain_id": role.domain_id, "description": role.description,
        "options": role.options, "links": {"self": link("roles", role.id)},
    }  # fmt: skip


def reference(role: Role) -> dict[str, Any]:
    """A role as implications show it."""
    return {"id": role.id, "name": role.name, "links": {"self": link("roles", role.id)}}


def create(session: Session, given: dict[str, Any]) -> Role:
    """A new role, of a domain when the body names one."""
    domain_id = given.get("domain_id")
    role = Role(domain_id=projects.get_domain(session, domain_id).id if domain_id else None)
    rows.assign(role, {name: value for name, value in given.items() if name not in _NOT_EXTRA}, _COLUMNS)
    rows.merge_options(role, given.get("options"))
    session.add(role)
    rows.flush(session, "role", role.name)
    return role


def change(session: Session, role_id: str, given: dict[str, Any]) -> Role:
    """The role, changed as the body says."""
    role = rows.get(session, Role, role_id, "role")
    rows.check_mutable(role, "role", role_id, given)
    if given.get("domain_id", role.domain_id) != role.domain_id:
        raise BadRequest("domain_id of a role cannot be changed.")
    rows.assign(role, {name: value for name, value in given.items() if name not in _NOT_EXTRA}, _COLUMNS)
    if "options" in given:
        rows.merge_options(role, given["options"])
    rows.flush(session, "role", role.name)
    return role


def remove(session: Session, role_id: str) -> None:
    """Deletes a role with its assignments and implications."""
    role = rows.get(session, Role, role_id, "role")
    rows.check_mutable(role, "role", role_id)
    session.delete(role)
    session.flush()


def imply(session: Session, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """Lets one role imply another; 403 when that would close a circle."""
    prior = rows.get(session, Role, prior_id, "role")
    implied = rows.get(session, Role, implied_id, "role")
    if implied.domain_id is not None and prior.domain_id is None:
        raise Forbidden("A role of the cloud cannot imply a role of a domain.")
    if prior_id in effective.closure([implied_id], effective.implications(session)):
        raise Forbidden(f"The role {implied_id} already implies {prior_id}: roles must not imply each other.")
    if session.get(ImpliedRole, (prior_id, implied_id)) is None:
        session.add(ImpliedRole(prior_role_id=prior_id, implied_role_id=implied_id))
    return prior, implied


def implication(session: Session, prior_id: str, implied_id: str) -> tuple[Role, Role]:
    """The two roles of an implication, or 404."""
    prior = rows.get(session, Role, prior_id, "role")
    implied = rows.get(session, Role, implied_id, "role")
    if session.get(ImpliedRole, (prior_id, implied_id)) is None:
        rows.missing(f"implication of {implied_id} by {prior_id}")
    return prior, implied


def stop_implying(session: Session, prior_id: str, implied_id: str) -> None:
    """Ends an implication; 404 when there is none."""
    implication(session, prior_id, implied_id)
    session.delete(session.get_one(ImpliedRole, (prior_id, implied_id)))


def inference(prior: Role, implied: list[Role]) -> dict[str, Any]:
    """A prior role and what it implies, as the API shows it."""
    return {"prior_role": reference(prior), "implies": [reference(role) for role in implied]}


def inferences(session: Session, prior_id: str | None = None) -> list[dict[str, Any]]:
    """Every role that implies others (or the one asked for, also when it implies none)."""
    known = {role.id: role for role in session.scalars(select(Role).order_by(Role.name))}
    by_prior = effective.implications(session)
    wanted = [prior_id] if prior_id is not None else [role_id for role_id in known if role_id in by_prior]
    return [
        inference(known[prior], sorted((known[role_id] for role_id in by_prior.get(prior, ())), key=lambda r: r.name))
        for prior in wanted
    ]
