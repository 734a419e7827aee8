"""/v3/users/{user_id}/application_credentials and the access rules of them."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import access_rules, passwords, rows, schemas
from api.identity import application_credentials as credentials
from api.identity.models import AccessRule, ApplicationCredential, User
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, listing

_PATH = "/v3/users/<user_id>/application_credentials"
_FILTERS = {
    "id": ApplicationCredential.id, "name": ApplicationCredential.name,
    "project_id": ApplicationCredential.project_id,
}  # fmt: skip


def _views(session: Session, found: Any) -> list[dict[str, Any]]:
    """All of one user's."""
    known = credentials.roles_by_id(session)
    rules = access_rules.by_id(session, found[0].user_id) if found else {}
    return [credentials.view(credential, known, rules) for credential in found]


@blueprint.get(_PATH)
def list_application_credentials(user_id: str) -> Response:
    authorize("list_application_credentials", owner=user_id)
    rows.get(read_session(), User, user_id, "user")
    query = select(ApplicationCredential).where(ApplicationCredential.user_id == user_id)
    path = f"users/{user_id}/application_credentials"
    return listing("application_credentials", path, query, _FILTERS, _views)


@blueprint.post(_PATH)
def create_application_credential(user_id: str) -> Response:
    given = json_body(schemas.APPLICATION_CREDENTIAL_CREATE)["application_credential"]
    authorize("create_application_credential", owner=user_id)
    credentials.check_may_manage(context())
    secret = given.get("secret") or credentials.new_secret()
    secret_hash = passwords.hash_password(secret)
    made = credentials.create(write_session(), context(), given, secret_hash)
    return json_response({"application_credential": {**_views(write_session(), [made])[0], "secret": secret}}, 201)


@blueprint.get(f"{_PATH}/<credential_id>")
def show_application_credential(user_id: str, credential_id: str) -> Response:
    authorize("get_application_credential", owner=user_id)
    found = credentials.of_user(read_session(), user_id, credential_id)
    return json_response({"application_credential": _views(read_session(), [found])[0]})


@blueprint.delete(f"{_PATH}/<credential_id>")
def delete_application_credential(user_id: str, credential_id: str) -> Response:
    authorize("delete_application_credential", owner=user_id)
    credentials.check_may_manage(context())
    session = write_session()
    session.delete(credentials.of_user(session, user_id, credential_id))
    return empty()


_RULES_PATH = "/v3/users/<user_id>/access_rules"
_RULE_FILTERS = {
    "id": AccessRule.id, "service": AccessRule.service, "method": AccessRule.method, "path": AccessRule.path,
}  # fmt: skip


@blueprint.get(_RULES_PATH)
def list_access_rules(user_id: str) -> Response:
    authorize("list_access_rules", owner=user_id)
    rows.get(read_session(), User, user_id, "user")
    query = select(AccessRule).where(AccessRule.user_id == user_id)
    return listing("access_rules", f"users/{user_id}/access_rules", query, _RULE_FILTERS,
                   lambda _, found: [access_rules.view(rule) for rule in found], order="id")  # fmt: skip


@blueprint.get(f"{_RULES_PATH}/<rule_id>")
def show_access_rule(user_id: str, rule_id: str) -> Response:
    authorize("get_access_rule", owner=user_id)
    return json_response({"access_rule": access_rules.view(access_rules.of_user(read_session(), user_id, rule_id))})


@blueprint.delete(f"{_RULES_PATH}/<rule_id>")
def delete_access_rule(user_id: str, rule_id: str) -> Response:
    authorize("delete_access_rule", owner=user_id)
    access_rules.remove(write_session(), user_id, rule_id)
    return empty()
