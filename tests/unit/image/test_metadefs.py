"""Metadata definitions: namespaces and what they hold, who sees and who keeps them."""

from __future__ import annotations

from typing import Any

import pytest

ROOT = "/image/v2/metadefs/namespaces"
PROPERTY = {"name": "cores", "title": "Cores", "type": "integer", "minimum": 1}


def make(cloud: Any, name: str = "OS::Test", **fields: Any) -> dict[str, Any]:
    answer = cloud.admin.post(ROOT, json={"namespace": name, "visibility": "public"} | fields)
    assert answer.status_code == 201, answer.json
    assert answer.headers["Location"] == f"https://cloud.test:8443{ROOT}/{name}"
    made: dict[str, Any] = answer.json
    return made


def test_a_namespace_comes_whole(cloud: Any) -> None:
    make(
        cloud, resource_type_associations=[{"name": "OS::Nova::Server", "prefix": "hw_"}],
        properties={"cores": {"title": "Cores", "type": "integer"}}, objects=[{"name": "cpu", "required": ["cores"]}],
        tags=[{"name": "fast"}],
    )  # fmt: skip
    shown = cloud.member.get(f"{ROOT}/OS::Test").json
    assert shown["properties"] == {"cores": {"title": "Cores", "type": "integer"}}
    assert [(entry["name"], entry["required"]) for entry in shown["objects"]] == [("cpu", ["cores"])]
    assert shown["tags"] == [{"name": "fast"}]
    assert shown["resource_type_associations"][0]["prefix"] == "hw_"
    (listed,) = cloud.member.get(ROOT).json["namespaces"]
    assert "objects" not in listed
    assert listed["resource_type_associations"][0]["name"] == "OS::Nova::Server"
    prefixed = cloud.member.get(f"{ROOT}/OS::Test/properties/hw_cores?resource_type=OS::Nova::Server")
    assert prefixed.json["name"] == "cores"
    assert cloud.member.get(f"{ROOT}/OS::Test/properties/cores?resource_type=OS::Nova::Server").status_code == 404


def test_a_protected_namespace_stays(cloud: Any) -> None:
    make(cloud, protected=True, tags=[{"name": "fast"}])
    assert cloud.admin.delete(f"{ROOT}/OS::Test").status_code == 403
    assert cloud.admin.delete(f"{ROOT}/OS::Test/tags").status_code == 403
    assert cloud.admin.delete(f"{ROOT}/OS::Test/tags/fast").status_code == 403
    changed = cloud.admin.put(f"{ROOT}/OS::Test", json={"namespace": "OS::Test", "visibility": "private"})
    assert (changed.json["visibility"], changed.json["protected"]) == ("private", False)
    assert cloud.admin.delete(f"{ROOT}/OS::Test").status_code == 204
    assert cloud.admin.get(f"{ROOT}/OS::Test").status_code == 404


def test_who_sees_and_who_keeps_namespaces(cloud: Any) -> None:
    make(cloud, "public")
    make(cloud, "theirs", visibility="private")
    make(cloud, "ours", visibility="private", owner=cloud.project_id)
    names = {entry["namespace"] for entry in cloud.member.get(ROOT).json["namespaces"]}
    assert names == {"public", "ours"}
    assert cloud.member.get(f"{ROOT}/theirs").status_code == 404
    assert cloud.member.get(f"{ROOT}/theirs/objects").status_code == 404
    assert len(cloud.admin.get(ROOT).json["namespaces"]) == 3
    assert cloud.member.post(ROOT, json={"namespace": "x"}).status_code == 403
    assert cloud.member.put(f"{ROOT}/ours", json={"namespace": "ours"}).status_code == 403
    assert cloud.member.delete(f"{ROOT}/ours").status_code == 403
    assert cloud.member.post(f"{ROOT}/ours/objects", json={"name": "x"}).status_code == 403
    assert cloud.member.post(f"{ROOT}/ours/tags/x").status_code == 403


@pytest.mark.parametrize(("plural", "body", "other"), [
    ("objects", {"name": "one", "description": "x"}, {"name": "two"}),
    ("properties", PROPERTY, {**PROPERTY, "name": "two"}),
])  # fmt: skip
def test_what_a_namespace_holds(cloud: Any, plural: str, body: dict[str, Any], other: dict[str, Any]) -> None:
    make(cloud)
    path = f"{ROOT}/OS::Test/{plural}"
    made = cloud.admin.post(path, json=body)
    assert made.status_code == 201, made.json
    assert body.items() <= made.json.items()
    assert cloud.admin.post(path, json=body).status_code == 409
    one = f"{path}/{body['name']}"
    assert cloud.reader.get(one).json == made.json
    changed = cloud.admin.put(one, json=other)
    assert other.items() <= changed.json.items()
    assert cloud.admin.get(one).status_code == 404
    listed = cloud.reader.get(path).json[plural]
    assert "two" in (listed if isinstance(listed, dict) else [entry["name"] for entry in listed])
    assert cloud.admin.delete(f"{path}/two").status_code == 204
    assert cloud.admin.delete(f"{path}/two").status_code == 404
    assert not cloud.reader.get(path).json[plural]


def test_tags(cloud: Any) -> None:
    make(cloud)
    path = f"{ROOT}/OS::Test/tags"
    body = {"tags": [{"name": "a"}, {"name": "b"}]}
    assert cloud.admin.post(path, json=body).json == body
    more = cloud.admin.post(path, json={"tags": [{"name": "c"}]}, headers={"X-OpenStack-Append": "True"})
    assert more.status_code == 201
    assert cloud.admin.post(f"{path}/d").status_code == 201
    assert cloud.admin.post(f"{path}/d").status_code == 409
    assert cloud.admin.put(f"{path}/d", json={"name": "e"}).json["name"] == "e"
    first = cloud.member.get(f"{path}?limit=2").json
    assert [tag["name"] for tag in first["tags"]] == ["a", "b"]
    following = cloud.member.get(f"/image{first['next']}").json
    assert [tag["name"] for tag in following["tags"]] == ["c", "e"]
    assert cloud.admin.post(path, json={"tags": [{"name": "z"}]}).status_code == 201
    assert [tag["name"] for tag in cloud.member.get(path).json["tags"]] == ["z"]
    assert cloud.admin.delete(path).status_code == 204
    assert cloud.member.get(path).json["tags"] == []


def test_resource_types(cloud: Any) -> None:
    make(cloud)
    path = f"{ROOT}/OS::Test/resource_types"
    known = {entry["name"] for entry in cloud.member.get("/image/v2/metadefs/resource_types").json["resource_types"]}
    assert "OS::Nova::Server" in known
    assert cloud.admin.post(path, json={"name": "My::Own", "prefix": "x_"}).status_code == 201
    associated = cloud.member.get(path).json["resource_type_associations"]
    assert [entry["name"] for entry in associated] == ["My::Own"]
    make(cloud, "another")
    found = cloud.member.get(f"{ROOT}?resource_types=My::Own,Nothing").json["namespaces"]
    assert [entry["namespace"] for entry in found] == ["OS::Test"]
    assert cloud.admin.delete(f"{path}/My::Own").status_code == 204
    assert cloud.member.get(path).json["resource_type_associations"] == []


@pytest.mark.parametrize("body", [
    {}, {"namespace": ""}, {"namespace": "a/b"}, {"namespace": "x" * 81}, {"namespace": "x", "visibility": "shared"},
    {"namespace": "x", "colour": "blue"}, {"namespace": "x", "objects": [{}]}, {"namespace": 5},
    {"namespace": "x", "properties": {"p": {"type": "date"}}},
])  # fmt: skip
def test_a_namespace_that_cannot_be(cloud: Any, body: dict[str, Any]) -> None:
    answer = cloud.admin.post(ROOT, json=body)
    assert (answer.status_code, answer.json["title"]) == (400, "Bad Request")


def test_a_name_is_taken_once(cloud: Any) -> None:
    make(cloud)
    assert cloud.admin.post(ROOT, json={"namespace": "OS::Test"}).status_code == 409
    make(cloud, "another")
    assert cloud.admin.put(f"{ROOT}/another", json={"namespace": "OS::Test"}).status_code == 409


@pytest.mark.parametrize("name", [
    "namespace", "namespaces", "object", "objects", "property", "properties", "tag", "tags",
])  # fmt: skip
def test_schema_documents(cloud: Any, name: str) -> None:
    assert cloud.reader.get(f"/image/v2/schemas/metadefs/{name}").json["name"] == name
