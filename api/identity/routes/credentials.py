"""/v3/credentials and /v3/users/{user_id}/credentials/OS-EC2."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy import select

from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import credentials, rows, schemas
from api.identity.application_credentials import check_may_manage
from api.identity.models import Credential, User
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, listing, plain_list, visible

_FILTERS = {
    "id": Credential.id, "user_id": Credential.user_id, "type": Credential.type, "project_id": Credential.project_id,
}  # fmt: skip
_EC2 = "/v3/users/<user_id>/credentials/OS-EC2"


def _credential(credential_id: str, rule: str) -> Credential:
    return visible(rule, Credential, credential_id, "credential", lambda row: {"credential__user_id": row.user_id})


@blueprint.get("/v3/credentials")
def list_credentials() -> Response:
    authorize("list_credentials", credential__user_id=context().user_id)
    query = select(Credential)
    if not policy.allowed(context(), "identity:list_credentials", {"target.credential.user_id": ""}):
        query = query.where(Credential.user_id == context().user_id)
    return listing("credentials", "credentials", query, _FILTERS,
                   lambda _, found: [credentials.view(row) for row in found], order="id")  # fmt: skip


@blueprint.post("/v3/credentials")
def create_credential() -> Response:
    given = json_body(schemas.CREDENTIAL_CREATE)["credential"]
    user_id: str = given.get("user_id") or context().user_id
    authorize("create_credential", credential__user_id=user_id)
    check_may_manage(context())
    return json_response({"credential": credentials.view(credentials.create(write_session(), given, user_id))}, 201)


@blueprint.get("/v3/credentials/<credential_id>")
def show_credential(credential_id: str) -> Response:
    return json_response({"credential": credentials.view(_credential(credential_id, "get_credential"))})


@blueprint.patch("/v3/credentials/<credential_id>")
def update_credential(credential_id: str) -> Response:
    given = json_body(schemas.CREDENTIAL_UPDATE)["credential"]
    _credential(credential_id, "update_credential")
    check_may_manage(context())
    changed = credentials.change(write_session(), credential_id, given)
    return json_response({"credential": credentials.view(changed)})


@blueprint.delete("/v3/credentials/<credential_id>")
def delete_credential(credential_id: str) -> Response:
    _credential(credential_id, "delete_credential")
    check_may_manage(context())
    credentials.remove(write_session(), credential_id)
    return empty()


@blueprint.get(_EC2)
def list_ec2_credentials(user_id: str) -> Response:
    authorize("ec2_list_credentials", credential__user_id=user_id)
    rows.get(read_session(), User, user_id, "user")
    shown: list[dict[str, Any]] = [
        credentials.ec2_view(row) for row in credentials.ec2_of_user(read_session(), user_id)
    ]
    return plain_list("credentials", f"users/{user_id}/credentials/OS-EC2", shown)


@blueprint.post(_EC2)
def create_ec2_credential(user_id: str) -> Response:
    given = json_body(schemas.EC2_CREATE)
    authorize("ec2_create_credential", credential__user_id=user_id)
    check_may_manage(context())
    made = credentials.create_ec2(write_session(), user_id, given["tenant_id"])
    return json_response({"credential": credentials.ec2_view(made)}, 201)


@blueprint.get(f"{_EC2}/<access>")
def show_ec2_credential(user_id: str, access: str) -> Response:
    authorize("ec2_get_credential", credential__user_id=user_id)
    found = credentials.ec2_by_access(read_session(), access, user_id)
    return json_response({"credential": credentials.ec2_view(found)})


@blueprint.delete(f"{_EC2}/<access>")
def delete_ec2_credential(user_id: str, access: str) -> Response:
    authorize("ec2_delete_credential", credential__user_id=user_id)
    check_may_manage(context())
    write_session().delete(credentials.ec2_by_access(write_session(), access, user_id))
    return empty()
