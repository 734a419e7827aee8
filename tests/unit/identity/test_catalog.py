"""The catalog's records, policies as documents, and which endpoints a project sees (OS-EP-FILTER)."""

from __future__ import annotations

from typing import Any

import pytest

V3 = "/identity/v3"
FILTER = f"{V3}/OS-EP-FILTER"


def types(cloud: Any, client: Any) -> set[str]:
    catalog = client.get(f"{V3}/auth/catalog").json["catalog"]
    return {service["type"] for service in catalog if service["endpoints"]}


@pytest.mark.parametrize(("plural", "noun", "body", "change"), [
    ("regions", "region", {"id": "south", "description": "x"}, {"description": "y"}),
    ("services", "service", {"type": "dns", "name": "designate"}, {"name": "another"}),
    ("policies", "policy", {"type": "text/plain", "blob": "anything"}, {"blob": "other"}),
    ("OS-EP-FILTER/endpoint_groups", "endpoint_group", {"name": "g", "filters": {"interface": "admin"}}, {"name": "h"}),
])  # fmt: skip
def test_a_record_is_the_administrators(cloud: Any, plural: str, noun: str, body: Any, change: Any) -> None:
    path = f"{V3}/{plural}"
    assert cloud.member.post(path, json={noun: body}).status_code == 403
    made = cloud.admin.post(path, json={noun: body})
    assert made.status_code == 201, made.json
    one = f"{path}/{made.json[noun]['id']}"
    assert made.json[noun]["links"]["self"] == f"https://cloud.test:8443{one}"
    assert made.json[noun] in cloud.admin.get(path).json[plural.rpartition("/")[2]]
    assert cloud.admin.patch(one, json={noun: change}).json[noun] == made.json[noun] | change
    assert cloud.admin.patch(one, json={noun: {}}).status_code == 400
    assert cloud.member.delete(one).status_code == 403
    assert cloud.admin.delete(one).status_code == 204
    assert cloud.admin.get(one).status_code == 404


def test_a_project_sees_what_it_is_given(cloud: Any) -> None:
    everything = types(cloud, cloud.member)
    endpoints = cloud.admin.get(f"{V3}/endpoints?interface=public").json["endpoints"]
    services = {entry["id"]: entry["type"] for entry in cloud.admin.get(f"{V3}/services").json["services"]}
    identity = next(entry for entry in endpoints if services[entry["service_id"]] == "identity")
    image = next(service_id for service_id, type_ in services.items() if type_ == "image")
    member = f"{FILTER}/projects/{cloud.project_id}/endpoints/{identity['id']}"
    assert cloud.member.put(member).status_code == 403
    assert cloud.admin.put(member).status_code == 204
    assert types(cloud, cloud.member) == {"identity"}
    assert types(cloud, cloud.other) == everything
    group = cloud.admin.post(f"{FILTER}/endpoint_groups", json={"endpoint_group": {
        "name": "images", "filters": {"service_id": image}}}).json["endpoint_group"]  # fmt: skip
    given = f"{FILTER}/endpoint_groups/{group['id']}/projects/{cloud.project_id}"
    assert cloud.admin.get(given).status_code == 404
    assert cloud.admin.put(given).status_code == 204
    assert cloud.admin.get(given).status_code == 200
    assert types(cloud, cloud.member) == {"identity", "image"}
    shown = cloud.admin.get(f"{FILTER}/projects/{cloud.project_id}/endpoints").json["endpoints"]
    assert {services[entry["service_id"]] for entry in shown} == {"identity", "image"}
    assert len(cloud.admin.get(f"{FILTER}/endpoint_groups/{group['id']}/endpoints").json["endpoints"]) == 3
    for path in (f"{FILTER}/endpoint_groups/{group['id']}/projects", f"{FILTER}/endpoints/{identity['id']}/projects"):
        assert [project["id"] for project in cloud.admin.get(path).json["projects"]] == [cloud.project_id]
    groups = cloud.admin.get(f"{FILTER}/projects/{cloud.project_id}/endpoint_groups").json["endpoint_groups"]
    assert groups == [group]
    assert cloud.admin.delete(given).status_code == 204
    assert cloud.admin.delete(member).status_code == 204
    assert types(cloud, cloud.member) == everything


def test_a_group_filters_by_what_endpoints_have(cloud: Any) -> None:
    body = {"endpoint_group": {"name": "g", "filters": {"colour": "blue"}}}
    assert cloud.admin.post(f"{FILTER}/endpoint_groups", json=body).status_code == 400
