"""Domains, projects, users, groups, roles, catalog: made, found, changed, deleted, and refused."""

from __future__ import annotations

from typing import Any

import pytest

V3 = "/identity/v3"
HOSTILE = [
    "{{ lookup('pipe','touch /tmp/x') }}", "{% for x in y %}", "quotes ' \" ` and \\", "two\nlines\tand a tab",
    "emoji 🚀 ünïcödé", "x" * 64, "../../etc/passwd", "'; DROP TABLE identity_users; --", "50% of $(project_id)s _",
]  # fmt: skip


def make(client: Any, noun: str, plural: str | None = None, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{V3}/{plural or noun + 's'}", json={noun: body})
    assert answer.status_code == 201, answer.json
    made: dict[str, Any] = answer.json[noun]
    return made


NOUNS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("domain", "domains", {"name": "d1"}, {"description": "other"}),
    ("project", "projects", {"name": "p1", "description": "mine"}, {"description": "other"}),
    ("user", "users", {"name": "u1", "email": "u1@example.org"}, {"email": "new@example.org"}),
    ("group", "groups", {"name": "g1"}, {"description": "other"}),
    ("role", "roles", {"name": "r1"}, {"description": "other"}),
    ("region", "regions", {"id": "east"}, {"description": "other"}),
    ("service", "services", {"type": "dns", "name": "designate"}, {"description": "other"}),
]


@pytest.mark.parametrize("noun, plural, body, change", NOUNS, ids=[row[0] for row in NOUNS])
def test_the_life_of_a_resource(
    cloud: Any, noun: str, plural: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    admin = cloud.admin
    made = make(admin, noun, plural, **body)
    path = f"{V3}/{plural}/{made['id']}"
    assert made.items() >= body.items()
    assert made["links"]["self"] == f"https://cloud.test:8443{path}"
    assert admin.get(path).json[noun] == made
    assert made in admin.get(f"{V3}/{plural}").json[plural]
    changed = admin.patch(path, json={noun: change})
    assert changed.status_code == 200
    assert changed.json[noun] == made | change
    assert cloud.member.patch(path, json={noun: change}).status_code == 403
    assert cloud.member.delete(path).status_code == 403
    if noun == "domain":
        assert admin.delete(path).status_code == 403
        assert admin.patch(path, json={"domain": {"enabled": False}}).status_code == 200
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404
    assert admin.delete(path).status_code == 404


@pytest.mark.parametrize("noun, plural", [row[:2] for row in NOUNS if row[0] not in ("region", "service")])
def test_a_name_is_taken_once_and_is_no_id(cloud: Any, noun: str, plural: str) -> None:
    make(cloud.admin, noun, plural, name="twin")
    answer = cloud.admin.post(f"{V3}/{plural}", json={noun: {"name": "twin"}})
    assert answer.status_code == 409
    assert answer.json["error"]["title"] == "Conflict"
    assert cloud.admin.get(f"{V3}/{plural}/twin").status_code == 404


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_come_back_as_sent(cloud: Any, text: str) -> None:
    for noun, plural in (("domain", "domains"), ("project", "projects"), ("user", "users"), ("group", "groups"),
                         ("role", "roles")):  # fmt: skip
        made = make(cloud.admin, noun, plural, name=text, description=text, remark=text)
        shown = cloud.admin.get(f"{V3}/{plural}/{made['id']}").json[noun]
        assert (shown["name"], shown["description"], shown["remark"]) == (text, text, text)
        found = cloud.admin.get(f"{V3}/{plural}", query_string={"name": text}).json[plural]
        assert [row["id"] for row in found] == [made["id"]]


@pytest.mark.parametrize("noun, plural, body", [
    ("project", "projects", {}), ("project", "projects", {"name": 7}), ("project", "projects", {"name": "  "}),
    ("user", "users", {"name": "x" * 256}), ("user", "users", {"name": "x", "enabled": "yes"}),
    ("service", "services", {"name": "x"}), ("endpoint", "endpoints", {"service_id": "x", "interface": "public"}),
    ("endpoint", "endpoints", {"service_id": "gone", "interface": "public", "url": "http://x"}),
    ("project", "projects", {"name": "x", "domain_id": "gone"}), ("role", "roles", {"name": None}),
])  # fmt: skip
def test_wrong_bodies_are_refused(cloud: Any, noun: str, plural: str, body: dict[str, Any]) -> None:
    answer = cloud.admin.post(f"{V3}/{plural}", json={noun: body})
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == 400
    assert cloud.admin.post(f"{V3}/{plural}", data="{", content_type="application/json").status_code == 400


def test_a_refused_password_is_not_repeated(cloud: Any) -> None:
    answer = cloud.admin.post(f"{V3}/users", json={"user": {"name": "x", "password": ["hush-hush"]}})
    assert answer.status_code == 400
    assert "hush-hush" not in answer.text


def test_lists_filter_and_page(cloud: Any) -> None:
    for name in ("alpha", "alphabet", "beta", "be%ta"):
        make(cloud.admin, "project", name=name, enabled=name != "beta")

    def names(query: str) -> list[str]:
        return [row["name"] for row in cloud.admin.get(f"{V3}/projects?{query}").json["projects"]]

    assert names("name=alpha") == ["alpha"]
    assert names("name__contains=alpha") == ["alpha", "alphabet"]
    assert names("name__startswith=be%25") == ["be%ta"]
    assert names("enabled=false") == ["beta"]
    page = cloud.admin.get(f"{V3}/projects?limit=2").json
    assert (len(page["projects"]), page["truncated"]) == (2, True)
    seen = [row["name"] for row in page["projects"]]
    while page["links"]["next"]:
        page = cloud.admin.get(page["links"]["next"].removeprefix("https://cloud.test:8443")).json
        seen += [row["name"] for row in page["projects"]]
    assert seen == names("") == sorted(seen)
    assert cloud.admin.get(f"{V3}/projects?marker=gone").status_code == 404


def test_projects_have_parents_and_tags(cloud: Any) -> None:
    top = make(cloud.admin, "project", name="top")
    below = make(cloud.admin, "project", name="below", parent_id=top["id"], tags=["blue", "red"])
    assert below["domain_id"] == "default"
    assert cloud.admin.delete(f"{V3}/projects/{top['id']}").status_code == 403
    assert cloud.admin.patch(f"{V3}/projects/{top['id']}", json={"project": {"enabled": False}}).status_code == 403
    tree = cloud.admin.get(f"{V3}/projects/{top['id']}?subtree_as_ids").json["project"]["subtree"]
    assert tree == {below["id"]: None}
    above = cloud.admin.get(f"{V3}/projects/{below['id']}?parents_as_ids").json["project"]["parents"]
    assert above == {top["id"]: {"default": None}}
    path = f"{V3}/projects/{below['id']}/tags"
    assert cloud.admin.put(f"{path}/green").status_code == 201
    assert cloud.admin.get(path).json == {"tags": ["blue", "green", "red"]}
    found = cloud.admin.get(f"{V3}/projects?tags=blue,green").json["projects"]
    assert [row["id"] for row in found] == [below["id"]]
    assert cloud.admin.get(f"{V3}/projects?tags=blue,black").json["projects"] == []
    assert cloud.admin.delete(f"{path}/green").status_code == 204
    assert cloud.admin.get(f"{path}/green").status_code == 404
    assert cloud.admin.put(path, json={"tags": ["only"]}).json == {"tags": ["only"]}


def test_deleting_a_domain_deletes_what_is_in_it(cloud: Any) -> None:
    domain = make(cloud.admin, "domain", name="short-lived")
    inside = {"domain_id": domain["id"]}
    project = make(cloud.admin, "project", name="p", **inside)
    user = make(cloud.admin, "user", name="u", password="secret", **inside)
    make(cloud.admin, "group", name="g", **inside)
    make(cloud.admin, "role", name="r", **inside)
    cloud.admin.patch(f"{V3}/domains/{domain['id']}", json={"domain": {"enabled": False}})
    assert cloud.admin.delete(f"{V3}/domains/{domain['id']}").status_code == 204
    assert cloud.admin.get(f"{V3}/projects/{project['id']}").status_code == 404
    assert cloud.admin.get(f"{V3}/users/{user['id']}").status_code == 404


def test_a_deleted_project_is_announced_and_a_listener_can_refuse(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from api.db import events
    from api.http.faults import Conflict

    told = []

    def listener(session: Any, project_id: str) -> None:
        told.append(project_id)
        raise Conflict("It still has a server.")

    monkeypatch.setitem(events._listeners, "project.before_delete", [listener])
    project = make(cloud.admin, "project", name="kept")
    assert cloud.admin.delete(f"{V3}/projects/{project['id']}").status_code == 409
    assert told == [project["id"]]
    assert cloud.admin.get(f"{V3}/projects/{project['id']}").status_code == 200


def test_built_in_roles_are_immutable_until_that_is_lifted(cloud: Any) -> None:
    role = cloud.admin.get(f"{V3}/roles?name=reader").json["roles"][0]
    path = f"{V3}/roles/{role['id']}"
    assert cloud.admin.delete(path).status_code == 403
    assert cloud.admin.patch(path, json={"role": {"name": "viewer"}}).status_code == 403
    assert cloud.admin.patch(path, json={"role": {"options": {"immutable": False}}}).status_code == 200
    assert cloud.admin.delete(path).status_code == 204


def test_endpoints_and_regions_hold_together(cloud: Any) -> None:
    region = make(cloud.admin, "region", id="west")
    service = make(cloud.admin, "service", type="dns", name="dns")
    endpoint = make(cloud.admin, "endpoint", service_id=service["id"], interface="public", region_id="west",
                    url="https://dns.test/$(project_id)s")  # fmt: skip
    assert cloud.admin.delete(f"{V3}/regions/{region['id']}").status_code == 403
    catalog = cloud.member.get(f"{V3}/auth/catalog").json["catalog"]
    urls = [row["url"] for entry in catalog if entry["type"] == "dns" for row in entry["endpoints"]]
    assert urls == [f"https://dns.test/{cloud.project_id}"]
    listed = cloud.admin.get(f"{V3}/endpoints?service_id={service['id']}&interface=public").json["endpoints"]
    assert [row["id"] for row in listed] == [endpoint["id"]]
    assert cloud.admin.delete(f"{V3}/services/{service['id']}").status_code == 204
    assert cloud.admin.get(f"{V3}/endpoints/{endpoint['id']}").status_code == 404


def test_what_is_not_there_answers_in_identitys_shape(cloud: Any) -> None:
    for path in ("/OS-OAUTH1/consumers", "/OS-FEDERATION/identity_providers", "/limits", "/nothing"):
        answer = cloud.admin.get(V3 + path)
        assert answer.status_code == 404
        assert answer.json["error"]["code"] == 404
    assert cloud.anonymous.get("/identity/").status_code == 300
    assert cloud.anonymous.get("/identity/v3/").json["version"]["id"] == "v3.14"
    assert cloud.anonymous.get("/identity/v3").status_code == 200
