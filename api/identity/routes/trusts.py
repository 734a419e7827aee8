"""/v3/OS-TRUST/trusts."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from sqlalchemy import select

from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import application_credentials as credentials
from api.identity import roles, rows, schemas, trusts
from api.identity.models import Trust
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, listing, plain_list

_PATH = "/v3/OS-TRUST/trusts"
_FILTERS = {
    "id": Trust.id, "trustor_user_id": Trust.trustor_user_id, "trustee_user_id": Trust.trustee_user_id,
    "project_id": Trust.project_id,
}  # fmt: skip


def _target(trust: Trust) -> dict[str, Any]:
    return {"trust__trustor_user_id": trust.trustor_user_id, "trust__trustee_user_id": trust.trustee_user_id}


def _trust(trust_id: str, rule: str) -> Trust:
    """The trust, if policy lets the caller; 404 for one that is over, as in OpenStack: ids cannot be guessed."""
    trust = trusts.get(read_session(), trust_id)
    authorize(rule, **_target(trust))
    return trust


@blueprint.get(_PATH)
def list_trusts() -> Response:
    asked = request.args
    if "trustor_user_id" in asked:
        authorize("list_trusts_for_trustor", trust__trustor_user_id=asked["trustor_user_id"])
    elif "trustee_user_id" in asked:
        authorize("list_trusts_for_trustee", trust__trustee_user_id=asked["trustee_user_id"])
    else:
        authorize("list_trusts")
    return listing("trusts", "OS-TRUST/trusts", select(Trust).where(trusts.not_over()), _FILTERS,
                   lambda _, found: [trusts.view(trust, None) for trust in found], order="id")  # fmt: skip


@blueprint.post(_PATH)
def create_trust() -> Response:
    given = json_body(schemas.TRUST_CREATE)["trust"]
    authorize("create_trust", trust__trustor_user_id=given["trustor_user_id"])
    trust = trusts.create(write_session(), context(), given)
    return json_response({"trust": trusts.view(trust, credentials.roles_by_id(write_session()))}, 201)


@blueprint.get(f"{_PATH}/<trust_id>")
def show_trust(trust_id: str) -> Response:
    trust = _trust(trust_id, "get_trust")
    return json_response({"trust": trusts.view(trust, credentials.roles_by_id(read_session()))})


@blueprint.delete(f"{_PATH}/<trust_id>")
def delete_trust(trust_id: str) -> Response:
    authorize("delete_trust", **_target(rows.get(read_session(), Trust, trust_id, "trust")))
    write_session().delete(rows.get(write_session(), Trust, trust_id, "trust"))
    return empty()


@blueprint.get(f"{_PATH}/<trust_id>/roles")
def list_trust_roles(trust_id: str) -> Response:
    known = credentials.roles_by_id(read_session())
    held = [known[role_id] for role_id in _trust(trust_id, "list_roles_for_trust").role_ids if role_id in known]
    return plain_list("roles", f"OS-TRUST/trusts/{trust_id}/roles", [roles.view(role) for role in held])


@blueprint.get(f"{_PATH}/<trust_id>/roles/<role_id>")
def show_trust_role(trust_id: str, role_id: str) -> Response:
    _trust(trust_id, "get_role_for_trust")
    return json_response({"role": roles.view(trusts.role(read_session(), trust_id, role_id))})
