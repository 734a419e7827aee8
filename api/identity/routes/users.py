"""/v3/users and /v3/groups."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy import select

from api.http.current import public, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.identity import groups, schemas, users
from api.identity.models import Group, Membership, User
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, home_domain, listing, scope_domain, visible

_FILTERS = {
    "id": User.id, "name": User.name, "domain_id": User.domain_id, "enabled": User.enabled,
    "default_project_id": User.default_project_id,
}  # fmt: skip
_GROUP_FILTERS = {"id": Group.id, "name": Group.name, "domain_id": Group.domain_id}


def _user(user_id: str, rule: str) -> User:
    return visible(rule, User, user_id, "user", _user_target)


def _user_target(user: User) -> dict[str, Any]:
    return {"user__id": user.id, "user__domain_id": user.domain_id}


def _group(group_id: str, rule: str) -> Group:
    return visible(rule, Group, group_id, "group", lambda group: {"group__domain_id": group.domain_id})


@blueprint.get("/v3/users")
def list_users() -> Response:
    authorize("list_users", domain_id=scope_domain())
    query = select(User)
    if domain_id := scope_domain():
        query = query.where(User.domain_id == domain_id)
    return listing("users", "users", query, _FILTERS, lambda _, found: [users.view(user) for user in found])


@blueprint.post("/v3/users")
def create_user() -> Response:
    given = json_body(schemas.USER_CREATE)["user"]
    authorize("create_user", user__domain_id=given.get("domain_id") or home_domain())
    hashed = users.hash_given(given)
    return json_response({"user": users.view(users.create(write_session(), given, home_domain(), hashed))}, 201)


@blueprint.get("/v3/users/<user_id>")
def show_user(user_id: str) -> Response:
    return json_response({"user": users.view(_user(user_id, "get_user"))})


@blueprint.patch("/v3/users/<user_id>")
def update_user(user_id: str) -> Response:
    given = json_body(schemas.USER_UPDATE)["user"]
    _user(user_id, "update_user")
    hashed = users.hash_given(given)
    return json_response({"user": users.view(users.change(write_session(), user_id, given, hashed))})


@blueprint.delete("/v3/users/<user_id>")
def delete_user(user_id: str) -> Response:
    _user(user_id, "delete_user")
    users.remove(write_session(), user_id)
    return empty()


@blueprint.post("/v3/users/<user_id>/password")
@public
def change_password(user_id: str) -> Response:
    given = json_body(schemas.USER_PASSWORD)["user"]
    users.change_password(read_session(), user_id, given["original_password"], given["password"])
    return empty()


@blueprint.get("/v3/users/<user_id>/groups")
def list_groups_of_user(user_id: str) -> Response:
    visible("list_groups_for_user", User, user_id, "user", lambda user: _user_target(user) | {"owner": user.id})
    query = select(Group).join(Membership, Membership.group_id == Group.id).where(Membership.user_id == user_id)
    return listing("groups", f"users/{user_id}/groups", query, _GROUP_FILTERS, _group_views)


def _group_views(_: object, found: Any) -> list[dict[str, Any]]:
    return [groups.view(group) for group in found]


@blueprint.get("/v3/groups")
def list_groups() -> Response:
    authorize("list_groups", group__domain_id=scope_domain())
    query = select(Group)
    if domain_id := scope_domain():
        query = query.where(Group.domain_id == domain_id)
    return listing("groups", "groups", query, _GROUP_FILTERS, _group_views)


@blueprint.post("/v3/groups")
def create_group() -> Response:
    given = json_body(schemas.GROUP_CREATE)["group"]
    authorize("create_group", group__domain_id=given.get("domain_id") or home_domain())
    return json_response({"group": groups.view(groups.create(write_session(), given, home_domain()))}, 201)


@blueprint.get("/v3/groups/<group_id>")
def show_group(group_id: str) -> Response:
    return json_response({"group": groups.view(_group(group_id, "get_group"))})


@blueprint.patch("/v3/groups/<group_id>")
def update_group(group_id: str) -> Response:
    given = json_body(schemas.GROUP_UPDATE)["group"]
    _group(group_id, "update_group")
    return json_response({"group": groups.view(groups.change(write_session(), group_id, given))})


@blueprint.delete("/v3/groups/<group_id>")
def delete_group(group_id: str) -> Response:
    _group(group_id, "delete_group")
    groups.remove(write_session(), group_id)
    return empty()


@blueprint.get("/v3/groups/<group_id>/users")
def list_users_in_group(group_id: str) -> Response:
    _group(group_id, "list_users_in_group")
    query = select(User).join(Membership, Membership.user_id == User.id).where(Membership.group_id == group_id)
    return listing("users", f"groups/{group_id}/users", query, _FILTERS,
                   lambda _, found: [users.view(user) for user in found])  # fmt: skip


def _authorize_membership(rule: str, group_id: str, user_id: str) -> None:
    user = read_session().get(User, user_id)
    visible(rule, Group, group_id, "group", lambda group: {"group__domain_id": group.domain_id}
            | (_user_target(user) if user else {}))  # fmt: skip


@blueprint.get("/v3/groups/<group_id>/users/<user_id>")
def check_user_in_group(group_id: str, user_id: str) -> Response:
    _authorize_membership("check_user_in_group", group_id, user_id)
    groups.membership(read_session(), group_id, user_id)
    return empty()


@blueprint.put("/v3/groups/<group_id>/users/<user_id>")
def add_user_to_group(group_id: str, user_id: str) -> Response:
    _authorize_membership("add_user_to_group", group_id, user_id)
    groups.add_user(write_session(), group_id, user_id)
    return empty()


@blueprint.delete("/v3/groups/<group_id>/users/<user_id>")
def remove_user_from_group(group_id: str, user_id: str) -> Response:
    _authorize_membership("remove_user_from_group", group_id, user_id)
    groups.remove_user(write_session(), group_id, user_id)
    return empty()
