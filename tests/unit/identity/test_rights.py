"""Grants, groups, inheritance, implications, and what each persona may do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.identity.test_resources import V3, make


def role_id(cloud: Any, name: str) -> str:
    found: str = cloud.admin.get(f"{V3}/roles?name={name}").json["roles"][0]["id"]
    return found


def roles_in_token(cloud: Any, name: str, scope: dict[str, Any]) -> set[str] | None:
    answer = cloud.login(name, "secret", scope)
    return {role["name"] for role in answer.json["token"]["roles"]} if answer.status_code == 201 else None


@pytest.fixture
def user(cloud: Any) -> dict[str, Any]:
    return make(cloud.admin, "user", name="ann", password="secret")


@pytest.mark.parametrize("target", ["project", "domain", "system"])
@pytest.mark.parametrize("by_group", [False, True])
def test_a_grant_shows_in_tokens_and_goes_again(cloud: Any, user: dict[str, Any], target: str, by_group: bool) -> None:
    where = {"project": f"projects/{cloud.project_id}", "domain": "domains/default", "system": "system"}[target]
    scope = {"project": {"project": {"id": cloud.project_id}}, "domain": {"domain": {"id": "default"}},
             "system": {"system": {"all": True}}}[target]  # fmt: skip
    actor = f"users/{user['id']}"
    if by_group:
        group = make(cloud.admin, "group", name="crew")
        assert cloud.admin.put(f"{V3}/groups/{group['id']}/users/{user['id']}").status_code == 204
        actor = f"groups/{group['id']}"
    path = f"{V3}/{where}/{actor}/roles"
    assert roles_in_token(cloud, "ann", scope) is None
    member = role_id(cloud, "member")
    assert cloud.admin.head(f"{path}/{member}").status_code == 404
    assert cloud.admin.put(f"{path}/{member}").status_code == 204
    assert cloud.admin.put(f"{path}/{member}").status_code == 204
    assert cloud.admin.head(f"{path}/{member}").status_code == 204
    assert [role["name"] for role in cloud.admin.get(path).json["roles"]] == ["member"]
    assert roles_in_token(cloud, "ann", scope) == {"member", "reader"}
    token = cloud.client(cloud.login("ann", "secret", scope).headers["X-Subject-Token"])
    assert token.get(f"{V3}/auth/projects").status_code == 200
    assert cloud.admin.delete(f"{path}/{member}").status_code == 204
    assert token.get(f"{V3}/auth/projects").status_code == 401
    assert cloud.admin.delete(f"{path}/{member}").status_code == 404


def test_inherited_roles_reach_the_projects_below(cloud: Any, user: dict[str, Any]) -> None:
    top = make(cloud.admin, "project", name="top")
    below = make(cloud.admin, "project", name="below", parent_id=top["id"])
    member = role_id(cloud, "member")
    path = f"{V3}/OS-INHERIT/projects/{top['id']}/users/{user['id']}/roles/{member}/inherited_to_projects"
    assert cloud.admin.put(path).status_code == 204
    assert roles_in_token(cloud, "ann", {"project": {"id": top["id"]}}) is None
    assert roles_in_token(cloud, "ann", {"project": {"id": below["id"]}}) == {"member", "reader"}
    query = f"{V3}/role_assignments?effective&include_names&user.id={user['id']}"
    found = cloud.admin.get(query).json["role_assignments"]
    assert {(row["scope"]["project"]["name"], row["role"]["name"]) for row in found} == {
        ("below", "member"), ("below", "reader")}  # fmt: skip
    assert all(row["scope"]["OS-INHERIT:inherited_to"] == "projects" for row in found)
    token = cloud.client(cloud.login("ann", "secret").headers["X-Subject-Token"])
    assert [row["name"] for row in token.get(f"{V3}/auth/projects").json["projects"]] == ["below"]
    assert cloud.admin.delete(path).status_code == 204
    assert roles_in_token(cloud, "ann", {"project": {"id": below["id"]}}) is None


def test_role_assignments_are_listed_with_filters(cloud: Any) -> None:
    def listed(query: str, client: Any = cloud.admin) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.get(f"{V3}/role_assignments?{query}").json["role_assignments"]
        return found

    mine = listed(f"user.id={cloud.user_ids['member']}")
    assert mine == [{
        "role": {"id": role_id(cloud, "member")}, "user": {"id": cloud.user_ids["member"]},
        "scope": {"project": {"id": cloud.project_id}},
        "links": {"assignment": f"https://cloud.test:8443{V3}/projects/{cloud.project_id}/users/"
                                f"{cloud.user_ids['member']}/roles/{role_id(cloud, 'member')}"},
    }]  # fmt: skip
    assert {row["user"]["id"] for row in listed(f"scope.project.id={cloud.project_id}")} == {
        cloud.user_ids[name] for name in ("manager", "member", "reader")}  # fmt: skip
    assert [row["scope"] for row in listed("scope.system=all")] == [{"system": {"all": True}}]
    named = listed(f"include_names&user.id={cloud.user_ids['other']}")[0]
    assert named["user"] == {
        "id": cloud.user_ids["other"], "name": "other", "domain": {"id": "default", "name": "Default"}}  # fmt: skip
    effective = listed(f"effective&user.id={cloud.admin_id}&scope.project.id={cloud.admin_project_id}")
    assert len(effective) == 4
    assert cloud.member.get(f"{V3}/role_assignments").status_code == 403


def test_roles_imply_others_without_circles(cloud: Any) -> None:
    admin, reader = role_id(cloud, "admin"), role_id(cloud, "reader")
    assert len(cloud.admin.get(f"{V3}/role_inferences").json["role_inferences"]) == 3
    assert cloud.admin.put(f"{V3}/roles/{reader}/implies/{admin}").status_code == 403
    auditor = make(cloud.admin, "role", name="auditor")["id"]
    assert cloud.admin.put(f"{V3}/roles/{auditor}/implies/{reader}").status_code == 201
    assert cloud.admin.head(f"{V3}/roles/{auditor}/implies/{reader}").status_code == 204
    shown = cloud.admin.get(f"{V3}/roles/{auditor}/implies").json["role_inference"]
    assert [role["name"] for role in shown["implies"]] == ["reader"]
    assert cloud.admin.delete(f"{V3}/roles/{auditor}/implies/{reader}").status_code == 204
    assert cloud.admin.get(f"{V3}/roles/{auditor}/implies/{reader}").status_code == 404


def test_a_domains_role_stands_in_no_token_but_what_it_implies_does(cloud: Any, user: dict[str, Any]) -> None:
    own = make(cloud.admin, "role", name="operator", domain_id="default")
    cloud.admin.put(f"{V3}/roles/{own['id']}/implies/{role_id(cloud, 'reader')}")
    path = f"{V3}/projects/{cloud.project_id}/users/{user['id']}/roles/{own['id']}"
    assert cloud.admin.put(path).status_code == 204
    assert roles_in_token(cloud, "ann", {"project": {"id": cloud.project_id}}) == {"reader"}


def test_a_domain_manager_manages_its_domain_alone(cloud: Any) -> None:
    domain = make(cloud.admin, "domain", name="acme")
    boss = make(cloud.admin, "user", name="boss", password="secret", domain_id=domain["id"])
    cloud.admin.put(f"{V3}/domains/{domain['id']}/users/{boss['id']}/roles/{role_id(cloud, 'manager')}")
    scope = {"domain": {"id": domain["id"]}}
    token = cloud.login("boss", "secret", scope, domain=domain["id"]).headers["X-Subject-Token"]
    client = cloud.client(token)
    project = make(client, "project", name="rockets")
    assert project["domain_id"] == domain["id"]
    worker = make(client, "user", name="worker", password="secret")
    grant = f"{V3}/projects/{project['id']}/users/{worker['id']}/roles"
    assert client.put(f"{grant}/{role_id(cloud, 'member')}").status_code == 204
    assert client.put(f"{grant}/{role_id(cloud, 'admin')}").status_code == 403
    assert [row["name"] for row in client.get(f"{V3}/users").json["users"]] == ["boss", "worker"]
    assert [row["name"] for row in client.get(f"{V3}/domains").json["domains"]] == ["acme"]
    assert client.post(f"{V3}/projects", json={"project": {"name": "x", "domain_id": "default"}}).status_code == 403
    assert client.get(f"{V3}/users/{cloud.admin_id}").status_code == 403
    foreign = f"{V3}/projects/{cloud.project_id}/users/{worker['id']}/roles/{role_id(cloud, 'member')}"
    assert client.put(foreign).status_code == 403
    assert client.delete(f"{V3}/domains/{domain['id']}").status_code == 403


def test_tenants_see_themselves_and_no_more(cloud: Any) -> None:
    member = cloud.member
    assert member.get(f"{V3}/users/{cloud.user_ids['member']}").status_code == 200
    assert member.get(f"{V3}/users/{cloud.user_ids['other']}").status_code == 403
    assert member.get(f"{V3}/users/nobody").status_code == 403
    assert member.get(f"{V3}/projects/{cloud.project_id}").status_code == 200
    assert member.get(f"{V3}/projects/{cloud.other_project_id}").status_code == 403
    assert member.get(f"{V3}/users/{cloud.user_ids['member']}/projects").json["projects"][0]["name"] == "demo"
    for path in ("projects", "users", "groups", "domains", "roles", "services", "endpoints", "role_assignments"):
        assert member.get(f"{V3}/{path}").status_code == 403, path
        assert cloud.anonymous.get(f"{V3}/{path}").status_code == 401, path
        assert cloud.system_admin.get(f"{V3}/{path}").status_code == 200, path
    assert member.get(f"{V3}/regions").status_code == 200


def test_every_rule_is_known_to_openstack_and_parses() -> None:
    from oslo_policy import _parser

    from api.identity.policies import RULES

    for rule in RULES:
        assert rule.name.startswith("identity:") or rule.name in ("admin_required", "domain_managed_target_role")
        assert str(_parser.parse_rule(rule.check_str)) != "!", rule.name
