"""Server groups: records by microversion, and servers placed by them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Boot, add_host, at, show

URL = "/compute/v2.1/os-server-groups"


def make(client: Any, kind: str = "anti-affinity", version: str = "2.64", status: int = 200, **more: Any) -> Any:
    body = {"name": "group", "policy": kind} if version >= "2.64" else {"name": "group", "policies": [kind]}
    answer = at(client, version).post(URL, json={"server_group": body | more})
    assert answer.status_code == status, answer.json
    return answer.json["server_group"] if status == 200 else answer.json


def host_of(ready: Any, answer: Any) -> str | None:
    host: str | None = show(ready.admin, answer.json["server"]["id"])["OS-EXT-SRV-ATTR:host"]
    return host


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        ("2.1", {"id", "name", "policies", "members", "metadata"}),
        ("2.12", {"id", "name", "policies", "members", "metadata"}),
        ("2.13", {"id", "name", "policies", "members", "metadata", "project_id", "user_id"}),
        ("2.63", {"id", "name", "policies", "members", "metadata", "project_id", "user_id"}),
        ("2.64", {"id", "name", "policy", "rules", "members", "project_id", "user_id"}),
        ("2.96", {"id", "name", "policy", "rules", "members", "project_id", "user_id"}),
    ],
)
def test_shape_by_microversion(ready: Any, version: str, keys: set[str]) -> None:
    made = make(ready.member, version=version)
    assert set(made) == keys
    assert at(ready.member, version).get(f"{URL}/{made['id']}").json["server_group"] == made
    assert at(ready.member, version).get(URL).json["server_groups"] == [made]
    assert at(ready.member, version).delete(f"{URL}/{made['id']}").status_code == 204
    assert at(ready.member, version).get(f"{URL}/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.14", {"name": "g", "policies": ["soft-affinity"]}), ("2.14", {"name": "g", "policies": []}),
        ("2.14", {"name": "g", "policies": ["affinity", "anti-affinity"]}), ("2.14", {"name": "g"}),
        ("2.14", {"name": "", "policies": ["affinity"]}), ("2.63", {"name": "g", "policy": "affinity"}),
        ("2.64", {"name": "g", "policies": ["affinity"]}), ("2.64", {"name": "g", "policy": "other"}),
        ("2.64", {"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"name": "g", "policy": "anti-affinity", "rules": {"other": 1}}),
    ],
)  # fmt: skip
def test_bad_groups_are_refused(ready: Any, version: str, body: dict[str, Any]) -> None:
    assert at(ready.member, version).post(URL, json={"server_group": body}).status_code == 400


def test_groups_are_their_projects(ready: Any) -> None:
    made = make(ready.member)
    assert ready.other.get(f"{URL}/{made['id']}").status_code == 404
    assert ready.other.delete(f"{URL}/{made['id']}").status_code == 404
    assert ready.reader.get(f"{URL}/{made['id']}").status_code == 200
    assert ready.reader.delete(f"{URL}/{made['id']}").status_code == 403
    assert ready.member.get(f"{URL}?all_projects=1").status_code == 403
    assert len(ready.admin.get(f"{URL}?all_projects=1").json["server_groups"]) == 1
    assert ready.admin.get(URL).json["server_groups"] == []


def test_lists_have_offset_and_limit(ready: Any) -> None:
    ids = [make(ready.member, version="2.15", kind="soft-affinity")["id"] for _ in range(3)]
    listed = ready.member.get(f"{URL}?offset=1&limit=1").json["server_groups"]
    assert [group["id"] for group in listed] == ids[1:2]
    assert ready.member.get(f"{URL}?offset=x").status_code == 400


def test_anti_affinity_takes_another_host_or_none(ready: Any, boot: Boot) -> None:
    group = make(ready.member)["id"]
    first, second = boot(hints={"group": group}), boot(hints={"group": group})
    assert {host_of(ready, first), host_of(ready, second)} == {"c1", "c2"}
    third = show(ready.admin, boot(hints={"group": group}).json["server"]["id"])
    assert third["status"] == "ERROR" and "members of the server group" in third["fault"]["details"]
    members = ready.member.get(f"{URL}/{group}").json["server_group"]["members"]
    assert len(members) == 3 and show(ready.member, members[0])["server_groups"] == [group]


def test_one_request_for_several_keeps_them_apart(ready: Any, boot: Boot) -> None:
    group = make(ready.member, rules={"max_server_per_host": 2})["id"]
    boot(hints={"group": group}, min_count=4)
    rows = at(ready.admin, "2.96").get("/compute/v2.1/servers/detail?all_tenants=1").json["servers"]
    assert sorted(row["OS-EXT-SRV-ATTR:host"] for row in rows) == ["c1", "c1", "c2", "c2"]


def test_affinity_keeps_them_together(ready: Any, boot: Boot) -> None:
    group = make(ready.member, kind="affinity")["id"]
    assert len({host_of(ready, boot(hints={"group": group})) for _ in range(4)}) == 1


@pytest.mark.parametrize(("kind", "hosts"), [("soft-affinity", 1), ("soft-anti-affinity", 2)])
def test_soft_policies_are_kept_where_possible(ready: Any, boot: Boot, kind: str, hosts: int) -> None:
    group = make(ready.member, kind=kind)["id"]
    assert len({host_of(ready, boot(hints={"group": group})) for _ in range(2)}) == hosts
    assert host_of(ready, boot(hints={"group": group})) is not None


def test_hints_of_neighbours(ready: Any, boot: Boot) -> None:
    with ready.write() as session:
        add_host(session, "c3")
    first = boot()
    id_, host = first.json["server"]["id"], host_of(ready, first)
    assert host_of(ready, boot(hints={"same_host": id_})) == host
    assert host_of(ready, boot(hints={"different_host": [id_]})) != host
    assert host_of(ready, boot(hints={"same_host": [id_], "different_host": id_})) is None


def test_unknown_groups_and_others_groups_are_400(ready: Any, boot: Boot) -> None:
    group = make(ready.member)["id"]
    assert "could not be found" in boot(
        hints={"group": "6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11"}, status=400
    ).json["badRequest"]["message"]
    boot(client=ready.other, hints={"group": group}, status=400)
    boot(hints={"group": "no id"}, status=400)


def test_a_deleted_group_leaves_its_servers_alone(ready: Any, boot: Boot) -> None:
    group = make(ready.member)["id"]
    id_ = boot(hints={"group": group}).json["server"]["id"]
    assert ready.member.delete(f"{URL}/{group}").status_code == 204
    assert show(ready.member, id_)["server_groups"] == []


def test_quotas_of_groups_and_members(ready: Any, boot: Boot) -> None:
    limits = {"quota_set": {"server_groups": 1, "server_group_members": 1}}
    assert ready.admin.put(f"/compute/v2.1/os-quota-sets/{ready.project_id}", json=limits).status_code == 200
    group = make(ready.member)["id"]
    assert "server groups" in make(ready.member, status=403)["forbidden"]["message"]
    boot(hints={"group": group})
    assert "servers in group" in boot(hints={"group": group}, status=403).json["forbidden"]["message"]
    assert ready.member.get("/compute/v2.1/limits").json["limits"]["absolute"]["totalServerGroupsUsed"] == 1
