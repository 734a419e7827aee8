"""Flavors, key pairs, quotas, hosts: what compute keeps beside servers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from .conftest import Boot, at

API = "/compute/v2.1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPnK4biqjPYTayOr0VtUfYtigm2Z+WVZfmds7BSC7gAl me@here"


def flavor(client: Any, name: str, version: str = "2.1", status: int = 200, **fields: Any) -> Any:
    body = {"flavor": {"name": name, "ram": 256, "vcpus": 1, "disk": 2} | fields}
    answer = at(client, version).post(f"{API}/flavors", json=body)
    assert answer.status_code == status, answer.json
    return answer.json


def test_flavors_have_the_shape_of_their_microversion(ready: Any) -> None:
    made = flavor(ready.admin, "small", id="7", swap="0")["flavor"]
    assert made["swap"] == "" and made["id"] == "7" and "description" not in made
    assert made["links"][0]["href"] == f"https://cloud.test:8443{API}/flavors/7"
    ready.admin.post(f"{API}/flavors/7/os-extra_specs", json={"extra_specs": {"hw:cpu": "1"}})
    assert "extra_specs" not in at(ready.member, "2.60").get(f"{API}/flavors/7").json["flavor"]
    newest = at(ready.member, "2.96").get(f"{API}/flavors/7").json["flavor"]
    assert newest["swap"] == 0 and newest["extra_specs"] == {"hw:cpu": "1"} and newest["description"] is None
    assert set(ready.member.get(f"{API}/flavors").json["flavors"][0]) == {"id", "name", "links"}


def test_flavors_are_the_operators_and_their_names_unique(ready: Any) -> None:
    flavor(ready.admin, "small", id="7")
    flavor(ready.member, "mine", status=403)
    flavor(ready.admin, "small", status=409)
    flavor(ready.admin, "other", id="7", status=409)
    for wrong in ({"ram": 0}, {"ram": "x"}, {"vcpus": -1}, {"disk": 1 << 40}, {"id": "a/b"}, {"more": 1}):
        flavor(ready.admin, "bad", status=400, **wrong)
    flavor(ready.admin, "bad", status=400, description="before 2.55")
    flavor(ready.admin, "good", version="2.55", description="from 2.55")
    assert ready.member.delete(f"{API}/flavors/7").status_code == 403
    assert ready.admin.delete(f"{API}/flavors/7").status_code == 202
    assert ready.admin.get(f"{API}/flavors/7").status_code == 404


def test_private_flavors_are_seen_by_those_who_were_given_access(ready: Any) -> None:
    flavor(ready.admin, "secret", id="p", **{"os-flavor-access:is_public": False})
    url = f"{API}/flavors/p"
    assert ready.member.get(url).status_code == 404
    add = {"addTenantAccess": {"tenant": ready.project_id}}
    assert ready.admin.post(f"{url}/action", json=add).status_code == 200
    assert ready.admin.post(f"{url}/action", json=add).status_code == 409
    assert ready.member.get(url).status_code == 200 and ready.other.get(url).status_code == 404
    assert [row["id"] for row in ready.member.get(f"{API}/flavors").json["flavors"]] == ["p"]
    remove = {"removeTenantAccess": {"tenant": ready.project_id}}
    assert ready.admin.post(f"{url}/action", json=remove).status_code == 200
    assert ready.admin.post(f"{url}/action", json=remove).status_code == 404
    assert ready.member.get(url).status_code == 404
    wrong = {"addTenantAccess": {"tenant": "nobody"}}
    assert ready.admin.post(f"{url}/action", json=wrong).status_code == 400


def test_flavor_lists_filter_sort_and_page(ready: Any) -> None:
    for number in (1, 2, 3):
        flavor(ready.admin, f"f{number}", id=str(number), ram=number * 100, disk=number)
    assert [row["id"] for row in ready.member.get(f"{API}/flavors?minRam=200").json["flavors"]] == ["2", "3"]
    assert [row["id"] for row in ready.member.get(f"{API}/flavors?minDisk=3").json["flavors"]] == ["3"]
    assert ready.member.get(f"{API}/flavors?minRam=x").status_code == 400
    page = ready.member.get(f"{API}/flavors?limit=1&sort_key=memory_mb&sort_dir=desc").json
    assert page["flavors"][0]["id"] == "3" and page["flavors_links"]
    following = ready.member.get(page["flavors_links"][0]["href"].removeprefix("https://cloud.test:8443")).json
    assert [row["id"] for row in following["flavors"]] == ["2"]
    assert ready.member.get(f"{API}/flavors?marker=none").status_code == 400


def keypair(client: Any, version: str, status: int, **fields: Any) -> Any:
    answer = at(client, version).post(f"{API}/os-keypairs", json={"keypair": {"name": "k"} | fields})
    assert answer.status_code == status, answer.json
    return answer.json.get("keypair")


def test_key_pairs_by_microversion(ready: Any) -> None:
    old = keypair(ready.member, "2.1", 200, public_key=KEY)
    assert "type" not in old and old["user_id"] == ready.user_ids["member"]
    keypair(ready.member, "2.2", 409, public_key=KEY)
    assert ready.member.delete(f"{API}/os-keypairs/k").status_code == 202
    assert keypair(ready.member, "2.2", 201, public_key=KEY)["type"] == "ssh"
    assert at(ready.member, "2.2").delete(f"{API}/os-keypairs/k").status_code == 204
    keypair(ready.member, "2.1", 400, public_key="rubbish")
    keypair(ready.member, "2.1", 400, type="ssh")
    keypair(ready.member, "2.92", 400)
    keypair(ready.member, "2.91", 400, name="a@b")
    keypair(ready.member, "2.92", 201, name="a@b.c", public_key=KEY)
    keypair(ready.member, "2.10", 403, public_key=KEY, user_id=ready.user_ids["other"])
    keypair(ready.admin, "2.10", 201, public_key=KEY, user_id=ready.user_ids["other"])
    assert [row["keypair"]["name"] for row in ready.other.get(f"{API}/os-keypairs").json["keypairs"]] == ["k"]
    assert ready.member.get(f"{API}/os-keypairs/k").status_code == 404


def test_generated_keys_are_real(ready: Any, tmp_path: Path) -> None:
    made = keypair(ready.member, "2.91", 201)
    private = tmp_path / "key"
    private.write_text(made["private_key"])
    private.chmod(0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", private], check=True, capture_output=True, text=True).stdout
    assert public.split()[:2] == made["public_key"].split()[:2]
    (tmp_path / "key.pub").write_text(made["public_key"])
    told = subprocess.run(["ssh-keygen", "-l", "-E", "md5", "-f", tmp_path / "key.pub"], check=True,
                          capture_output=True, text=True).stdout  # fmt: skip
    assert f"MD5:{made['fingerprint']}" in told
    certificate = keypair(ready.member, "2.91", 201, name="win", type="x509")
    x509.load_pem_x509_certificate(certificate["public_key"].encode())
    assert "PRIVATE KEY" in certificate["private_key"]
    shown = at(ready.member, "2.91").get(f"{API}/os-keypairs/k").json["keypair"]
    assert "private_key" not in shown and shown["created_at"]


def test_key_pairs_page_from_2_35(ready: Any) -> None:
    for name in ("a", "b", "c"):
        keypair(ready.member, "2.2", 201, name=name, public_key=KEY)
    client = at(ready.member, "2.35")
    first = client.get(f"{API}/os-keypairs?limit=2").json
    assert [row["keypair"]["name"] for row in first["keypairs"]] == ["a", "b"]
    rest = client.get(first["keypairs_links"][0]["href"].removeprefix("https://cloud.test:8443")).json
    assert [row["keypair"]["name"] for row in rest["keypairs"]] == ["c"]
    assert len(at(ready.member, "2.34").get(f"{API}/os-keypairs?limit=2").json["keypairs"]) == 3


def test_quotas_and_limits(ready: Any, boot: Boot) -> None:
    url = f"{API}/os-quota-sets/{ready.project_id}"
    assert ready.member.get(url).json["quota_set"]["instances"] == 10
    assert "fixed_ips" in ready.member.get(url).json["quota_set"]
    assert "fixed_ips" not in at(ready.member, "2.36").get(url).json["quota_set"]
    assert "injected_files" not in at(ready.member, "2.57").get(url).json["quota_set"]
    assert ready.other.get(url).status_code == 403
    assert ready.member.put(url, json={"quota_set": {"instances": 1}}).status_code == 403
    assert ready.admin.put(url, json={"quota_set": {"instances": 1}}).json["quota_set"]["instances"] == 1
    assert ready.admin.put(url, json={"quota_set": {"nonsense": 1}}).status_code == 400
    boot()
    refused = boot(status=403).json["forbidden"]["message"]
    assert refused == "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances"
    assert ready.admin.put(url, json={"quota_set": {"cores": 0}}).status_code == 400
    assert ready.admin.put(url, json={"quota_set": {"cores": 0, "force": True}}).status_code == 200
    detail = ready.member.get(f"{url}/detail").json["quota_set"]
    assert detail["instances"] == {"limit": 1, "in_use": 1, "reserved": 0}
    absolute = ready.member.get(f"{API}/limits").json["limits"]["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["maxTotalInstances"], absolute["totalRAMUsed"]) == (1, 1, 128)
    assert "maxPersonality" not in at(ready.member, "2.57").get(f"{API}/limits").json["limits"]["absolute"]
    assert ready.admin.delete(url).status_code == 202
    assert ready.member.get(f"{url}/defaults").json["quota_set"]["instances"] == 10
    assert ready.member.get(url).json["quota_set"]["instances"] == 10
    assert ready.admin.get(f"{API}/os-quota-sets/nobody").status_code == 400


def test_services_say_the_truth_and_can_be_disabled(ready: Any, boot: Boot) -> None:
    assert ready.member.get(f"{API}/os-services").status_code == 403
    rows = at(ready.admin, "2.96").get(f"{API}/os-services").json["services"]
    assert [(row["binary"], row["host"], row["state"]) for row in rows] == [
        ("nova-compute", "c1", "up"), ("nova-compute", "c2", "up"), ("nova-conductor", "c1", "up"),
        ("nova-scheduler", "c1", "up"),
    ]  # fmt: skip
    change = {"status": "disabled", "disabled_reason": "broken fan"}
    url = f"{API}/os-services/{rows[1]['id']}"
    assert at(ready.admin, "2.53").put(url, json=change).json["service"]["disabled_reason"] == "broken fan"
    boot()
    assert at(ready.admin, "2.53").put(url, json={"forced_down": True}).json["service"]["state"] == "down"
    refused = at(ready.admin, "2.53").put(f"{API}/os-services/{rows[3]['id']}", json=change)
    assert refused.status_code == 400
    verb = {"host": "c1", "binary": "nova-compute"}
    old = ready.admin.put(f"{API}/os-services/disable", json=verb).json["service"]
    assert old == verb | {"status": "disabled"}
    assert isinstance(ready.admin.get(f"{API}/os-services").json["services"][0]["id"], int)
    assert ready.admin.put(f"{API}/os-services/force-down", json=verb | {"forced_down": True}).status_code == 404
    assert ready.admin.put(f"{API}/os-services/enable", json=verb | {"host": "none"}).status_code == 404


def test_hypervisors_by_microversion(ready: Any, boot: Boot) -> None:
    boot(client=ready.admin, availability_zone="nova:c1")
    assert ready.member.get(f"{API}/os-hypervisors").status_code == 403
    old = ready.admin.get(f"{API}/os-hypervisors/detail").json["hypervisors"][0]
    assert (old["id"], old["vcpus_used"], old["memory_mb_used"], old["running_vms"]) == (1, 1, 512 + 128, 1)
    assert isinstance(old["cpu_info"], str)
    assert at(ready.admin, "2.28").get(f"{API}/os-hypervisors/1").json["hypervisor"]["cpu_info"]["arch"] == "x86_64"
    newest = at(ready.admin, "2.96").get(f"{API}/os-hypervisors/detail?with_servers=true").json["hypervisors"]
    assert len(newest[0]["servers"]) == 1 and newest[1]["servers"] == []
    assert newest[0]["uptime"] == "up 1 days, 1:01" and "vcpus" not in newest[0]
    assert at(ready.admin, "2.87").get(f"{API}/os-hypervisors/statistics").json["hypervisor_statistics"]["count"] == 2
    assert at(ready.admin, "2.88").get(f"{API}/os-hypervisors/statistics").status_code == 404
    assert len(ready.admin.get(f"{API}/os-hypervisors/c/servers").json["hypervisors"]) == 2
    assert at(ready.admin, "2.53").get(f"{API}/os-hypervisors/c/servers").status_code == 404
    page = at(ready.admin, "2.53").get(f"{API}/os-hypervisors?limit=1").json
    assert len(page["hypervisors"]) == 1 and page["hypervisors_links"]
    assert at(ready.admin, "2.53").get(f"{API}/os-hypervisors/1").status_code == 404


def test_zones_come_from_the_inventory(ready: Any) -> None:
    assert ready.member.get(f"{API}/os-availability-zone").json["availabilityZoneInfo"] == [
        {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    ]
    assert ready.member.get(f"{API}/os-availability-zone/detail").status_code == 403
    detail = ready.admin.get(f"{API}/os-availability-zone/detail").json["availabilityZoneInfo"]
    assert detail[1]["hosts"]["c2"]["nova-compute"]["available"] is True


@pytest.mark.parametrize("persona", ["member", "admin"])
def test_a_project_with_servers_stays(ready: Any, boot: Boot, persona: str) -> None:
    boot(client=getattr(ready, persona))
    project = ready.project_id if persona == "member" else ready.admin_project_id
    assert ready.admin.delete(f"/identity/v3/projects/{project}").status_code == 409
