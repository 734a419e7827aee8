"""Application credentials: a program's own secret for one project and some of its owner's roles there."""

from __future__ import annotations

import datetime
import secrets
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.http.context import Context
from api.http.faults import BadRequest, Forbidden
from api.identity import rows
from api.identity.links import link
from api.identity.models import ApplicationCredential, Role


def view(credential: ApplicationCredential, roles: dict[str, Role]) -> dict[str, Any]:
    """A credential as the API shows it, without its secret; `roles` by id."""
    expires_at = credential.expires_at
    return {
        "id": credential.id, "name": credential.name, "description": credential.description,
        "user_id": credential.user_id, "project_id": credential.project_id, "system": None,
        "unrestricted": credential.unrestricted,
        "expires_at": expires_at.strftime("%Y-%m-%dT%H:%M:%S.%f") if expires_at else None,
        "roles": [
            {"id": role_id, "name": roles[role_id].name, "domain_id": roles[role_id].domain_id}
            for role_id in credential.role_ids if role_id in roles
        ],
        "links": {"self": link("users", credential.user_id, "application_credentials", credential.id)},
    }  # fmt: skip


def roles_by_id(session: Session) -> dict[str, Role]:
    """All roles."""
    return {role.id: role for role in session.scalars(select(Role))}


def new_secret() -> str:
    """A secret for who gives none: 64 random bytes."""
    return secrets.token_urlsafe(64)


def check_may_manage(context: Context) -> None:
    """403 for a token that itself comes from a restricted credential: a leaked one must not make others."""
    if context.token.get("application_credential", {}).get("restricted"):
        raise Forbidden("A restricted application credential cannot manage application credentials.")


def create(session: Session, context: Context, given: dict[str, Any], secret_hash: str) -> ApplicationCredential:
    """A new credential of the caller's, for the token's project; at most with the roles that the token has."""
    if context.project_id is None:
        raise BadRequest("An application credential is for a project: use a token that is scoped to one.")
    if given.get("access_rules"):
        raise BadRequest("Access rules of application credentials are not supported: leave access_rules out.")
    credential = ApplicationCredential(
        name=given["name"], description=given.get("description"), user_id=context.user_id,
        project_id=context.project_id, secret_hash=secret_hash, unrestricted=given.get("unrestricted", False),
        expires_at=_expiry(given.get("expires_at")), role_ids=_role_ids(context, given.get("roles")),
    )  # fmt: skip
    session.add(credential)
    rows.flush(session, "application_credential", given["name"])
    return credential


def _role_ids(context: Context, wanted: list[dict[str, str]] | None) -> list[str]:
    held = {role["id"]: role["name"] for role in context.token.get("roles", [])}
    if not wanted:
        return list(held)
    by_name = {name: role_id for role_id, name in held.items()}
    found = [role.get("id") or by_name.get(role["name"], role["name"]) for role in wanted]
    if missing := [role_id for role_id in found if role_id not in held]:
        raise BadRequest(f"Could not find role assignment with role: {missing[0]} of this user on this project.")
    return list(dict.fromkeys(found))


def _expiry(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        expires_at = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"expires_at {text[:64]!r} is no time of the form 2030-01-31T10:20:30.000000.") from None
    expires_at = expires_at.replace(tzinfo=expires_at.tzinfo or datetime.UTC)
    if expires_at <= utcnow():
        raise BadRequest("expires_at lies in the past.")
    return expires_at


def of_user(session: Session, user_id: str, credential_id: str) -> ApplicationCredential:
    """A user's credential, or 404."""
    found = session.get(ApplicationCredential, credential_id)
    if found is None or found.user_id != user_id:
        rows.missing(f"application credential: {credential_id}")
    return found
