"""Trusts: a user (the trustor) lets another (the trustee) use some of its roles on a project (OS-TRUST).

A trust cannot be passed on: `allow_redelegation` is refused, as is a trust made with a token of a trust.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.db.session import database
from api.http.context import Context
from api.http.faults import BadRequest, Forbidden
from api.identity import effective, roles, rows, times
from api.identity.application_credentials import check_may_manage
from api.identity.links import link
from api.identity.models import PROJECT, Project, Role, Trust, User


def view(trust: Trust, known: dict[str, Role] | None) -> dict[str, Any]:
    """A trust as the API shows it; `known`: all roles by id, None in lists, which name no roles."""
    shown = {
        **trust.extra, "id": trust.id, "trustor_user_id": trust.trustor_user_id,
        "trustee_user_id": trust.trustee_user_id, "project_id": trust.project_id,
        "impersonation": trust.impersonation, "expires_at": times.iso_micro_z(trust.expires_at),
        "remaining_uses": trust.remaining_uses, "deleted_at": None, "redelegation_count": 0,
        "links": {"self": link("OS-TRUST", "trusts", trust.id)},
    }  # fmt: skip
    if known is not None:
        shown["roles"] = [roles.view(known[role_id]) for role_id in trust.role_ids if role_id in known]
        shown["roles_links"] = {"self": link("OS-TRUST", "trusts", trust.id, "roles"), "next": None, "previous": None}
    return shown


def token_view(trust: Trust) -> dict[str, Any]:
    """A trust as its tokens show it."""
    return {
        "id": trust.id, "impersonation": trust.impersonation,
        "trustor_user": {"id": trust.trustor_user_id}, "trustee_user": {"id": trust.trustee_user_id},
    }  # fmt: skip


def create(session: Session, context: Context, given: dict[str, Any]) -> Trust:
    """A new trust of the caller's; 403 for roles that the caller has not on that project."""
    check_may_manage(context)
    if given.get("allow_redelegation") or given.get("redelegation_count"):
        raise BadRequest("Trusts cannot be passed on here: leave allow_redelegation and redelegation_count out.")
    project_id = given.get("project_id")
    if project_id is None:
        raise BadRequest("A trust is for a project: name it in project_id.")
    rows.get(session, User, given["trustee_user_id"], "user")
    rows.get(session, Project, project_id, "project")
    trust = Trust(
        trustor_user_id=context.user_id, trustee_user_id=given["trustee_user_id"], project_id=project_id,
        impersonation=given["impersonation"], expires_at=times.future(given.get("expires_at")),
        remaining_uses=given.get("remaining_uses"), extra={},
        role_ids=_role_ids(session, context.user_id, project_id, given.get("roles") or []),
    )  # fmt: skip
    session.add(trust)
    session.flush()
    return trust


def _role_ids(session: Session, user_id: str, project_id: str, wanted: list[dict[str, str]]) -> list[str]:
    held = dict(effective.roles_on(session, user_id, PROJECT, project_id))
    by_name = {name: role_id for role_id, name in held.items()}
    if not wanted:
        raise Forbidden("At least one role must be given.")
    found = [role.get("id") or by_name.get(role["name"], role["name"]) for role in wanted]
    if missing := [role_id for role_id in found if role_id not in held]:
        raise Forbidden(f"The trustor has no role {missing[0]} on this project.")
    return list(dict.fromkeys(found))


def get(session: Session, trust_id: str) -> Trust:
    """The trust, while it holds; 404 otherwise."""
    return holding(session, trust_id) or rows.missing(f"trust: {trust_id}")


def holding(session: Session, trust_id: str) -> Trust | None:
    """The trust, unless it is gone, over or used up."""
    trust = session.get(Trust, trust_id)
    if trust is None or (trust.expires_at is not None and trust.expires_at <= utcnow()):
        return None
    return trust


def role(session: Session, trust_id: str, role_id: str) -> Role:
    """A role of the trust, or 404."""
    trust = get(session, trust_id)
    if role_id not in trust.role_ids:
        rows.missing(f"role: {role_id}")
    return rows.get(session, Role, role_id, "role")


def not_over() -> Any:
    """The condition that a trust has not expired."""
    return or_(Trust.expires_at.is_(None), Trust.expires_at > utcnow())


def use(trust_id: str) -> bool:
    """Counts one token more, in a transaction of its own; whether the trust allowed one."""
    limited = Trust.remaining_uses.is_not(None)
    with database().read() as session:
        if session.scalar(select(Trust.remaining_uses).where(Trust.id == trust_id)) is None:
            return True
    with database().write() as session:
        taken = session.execute(
            update(Trust).where(Trust.id == trust_id, limited, Trust.remaining_uses > 0)
            .values(remaining_uses=Trust.remaining_uses - 1).returning(Trust.id)
        )  # fmt: skip
        return taken.first() is not None
