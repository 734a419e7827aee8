"""Application credentials: a program's own secret for one project and some of its owner's roles there."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.faults import BadRequest, Forbidden
from api.identity import access_rules, rows, times
from api.identity.links import link
from api.identity.models import AccessRule, ApplicationCredential, Role


def view(
    credential: ApplicationCredential, roles: dict[str, Role], rules: dict[str, AccessRule]
) -> dict[str, Any]:
    """A credential as the API shows it, without its secret; `roles` and the user's access `rules` by id."""
    shown = {
        "id": credential.id, "name": credential.name, "description": credential.description,
        "user_id": credential.user_id, "project_id": credential.project_id, "system": None,
        "unrestricted": credential.unrestricted,
        "expires_at": times.iso_micro(credential.expires_at),
        "roles": [
            {"id": role_id, "name": roles[role_id].name, "domain_id": roles[role_id].domain_id}
            for role_id in credential.role_ids if role_id in roles
        ],
        "links": {"self": link("users", credential.user_id, "application_credentials", credential.id)},
    }  # fmt: skip
    if credential.access_rule_ids is not None:
        shown["access_rules"] = [access_rules.reference(rules[id_]) for id_ in credential.access_rule_ids]
    return shown


def roles_by_id(session: Session) -> dict[str, Role]:
    """All roles."""
    return {role.id: role for role in session.scalars(select(Role))}


def new_secret() -> str:
    """A secret for who gives none: 64 random bytes."""
    return secrets.token_urlsafe(64)


def check_may_manage(context: Context) -> None:
    """403 for a token that itself comes from a restricted credential or a trust: a leaked one must not make others."""
    if "OS-TRUST:trust" in context.token:
        raise Forbidden("A token of a trust cannot manage credentials or trusts.")
    if context.token.get("application_credential", {}).get("restricted"):
        raise Forbidden("A restricted application credential cannot manage credentials or trusts.")


def create(session: Session, context: Context, given: dict[str, Any], secret_hash: str) -> ApplicationCredential:
    """A new credential of the caller's, for the token's project; at most with the roles that the token has."""
    if context.project_id is None:
        raise BadRequest("An application credential is for a project: use a token that is scoped to one.")
    credential = ApplicationCredential(
        name=given["name"], description=given.get("description"), user_id=context.user_id,
        project_id=context.project_id, secret_hash=secret_hash, unrestricted=given.get("unrestricted", False),
        expires_at=times.future(given.get("expires_at")), role_ids=_role_ids(context, given.get("roles")),
        access_rule_ids=access_rules.ids_of(session, context.user_id, given.get("access_rules")),
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


def of_user(session: Session, user_id: str, credential_id: str) -> ApplicationCredential:
    """A user's credential, or 404."""
    found = session.get(ApplicationCredential, credential_id)
    if found is None or found.user_id != user_id:
        rows.missing(f"application credential: {credential_id}")
    return found
