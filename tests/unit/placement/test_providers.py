"""Providers, trees, inventories, traits, aggregates and names, with their generations and codes."""

from __future__ import annotations

import uuid
from typing import Any

from api.db.base import utcnow
from api.db.hosts import Host
from api.placement import service

RP = "/resource_providers"


def code(answer: Any) -> str:
    (error,) = answer["errors"]
    return str(error["code"])


def test_a_provider_lives_and_its_name_is_its_own(call: Any) -> None:
    made = call("POST", RP, 200, {"name": "one"})
    assert (made["name"], made["generation"], made["parent_provider_uuid"]) == ("one", 0, None)
    assert code(call("POST", RP, 409, {"name": "one"})) == "placement.duplicate_name"
    assert code(call("POST", RP, 409, {"name": "two", "uuid": made["uuid"]})) == "placement.duplicate_name"
    assert call("PUT", f"{RP}/{made['uuid']}", 200, {"name": "uno"})["name"] == "uno"
    call("DELETE", f"{RP}/{made['uuid']}", 204)
    assert code(call("GET", f"{RP}/{made['uuid']}", 404)) == "placement.resource_provider.not_found"
    old = call.at("1.0").client.post(f"/placement{RP}", json={"name": "old"})
    assert old.status_code == 201 and not old.data and "/placement/resource_providers/" in old.headers["Location"]
    call.at("1.13")("POST", RP, 400, {"name": "x", "parent_provider_uuid": None})


def test_trees_have_no_loops_and_parents_outlive_children(call: Any) -> None:
    root = call.provider("root")
    child = call.provider("child", root)
    leaf = call.provider("leaf", child)
    shown = call("GET", f"{RP}/{leaf}", 200)
    assert (shown["parent_provider_uuid"], shown["root_provider_uuid"]) == (child, root)
    assert {item["name"] for item in call("GET", f"{RP}?in_tree={child}", 200)["resource_providers"]} == {
        "root", "child", "leaf"}  # fmt: skip
    assert code(call("DELETE", f"{RP}/{child}", 409)) == "placement.resource_provider.cannot_delete_parent"
    call("PUT", f"{RP}/{root}", 400, {"name": "root", "parent_provider_uuid": leaf})
    call("PUT", f"{RP}/{root}", 400, {"name": "root", "parent_provider_uuid": root})
    call("PUT", f"{RP}/{root}", 400, {"name": "root", "parent_provider_uuid": str(uuid.uuid4())})
    call.at("1.36")("PUT", f"{RP}/{leaf}", 400, {"name": "leaf", "parent_provider_uuid": root})
    call("PUT", f"{RP}/{leaf}", 200, {"name": "leaf", "parent_provider_uuid": None})
    assert call("GET", f"{RP}/{leaf}", 200)["root_provider_uuid"] == leaf


def test_inventories_are_changed_by_who_saw_them_last(call: Any) -> None:
    one = call.provider("one", VCPU=4)
    url = f"{RP}/{one}/inventories"
    stale = {"resource_provider_generation": 0, "inventories": {}}
    assert code(call("PUT", url, 409, stale)) == "placement.concurrent_update"
    body = {"resource_class": "DISK_GB", "total": 10, "resource_provider_generation": 1}
    made = call("POST", url, 201, body)
    assert made == {"total": 10, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1,
                    "allocation_ratio": 1.0, "resource_provider_generation": 2}  # fmt: skip
    call("POST", url, 409, body | {"resource_provider_generation": 2})
    call("PUT", f"{url}/MEMORY_MB", 400, {"total": 1, "resource_provider_generation": 2})
    full = {"total": 10, "reserved": 10, "resource_provider_generation": 2}
    call.at("1.25")("PUT", f"{url}/DISK_GB", 400, full)
    call("PUT", f"{url}/DISK_GB", 200, full)
    call("PUT", f"{url}/CUSTOM_NONE", 400, full | {"resource_provider_generation": 3})
    for wrong in ({"total": 0}, {"total": "x"}, {"total": 1, "step_size": -1}, {"total": 1, "more": 1}, {}):
        call("PUT", f"{url}/DISK_GB", 400, {"resource_provider_generation": 3, **wrong})
    call("DELETE", f"{url}/DISK_GB", 204)
    call("DELETE", f"{url}/DISK_GB", 404)
    call("DELETE", url, 204)
    assert call("GET", url, 200)["inventories"] == {}


def test_traits_are_standard_or_custom(call: Any) -> None:
    one = call.provider("one")
    call("PUT", "/traits/CUSTOM_GOLD", 201)
    call("PUT", "/traits/CUSTOM_GOLD", 204)
    call("PUT", "/traits/GOLD", 400)
    call("GET", "/traits/CUSTOM_GOLD", 204)
    call("GET", "/traits/CUSTOM_SILVER", 404)
    call("DELETE", "/traits/HW_CPU_X86_AVX", 400)
    url = f"{RP}/{one}/traits"
    assert code(call("PUT", url, 409, {"traits": [], "resource_provider_generation": 7})) == (
        "placement.concurrent_update")  # fmt: skip
    call("PUT", url, 400, {"traits": ["CUSTOM_SILVER"], "resource_provider_generation": 0})
    both = {"traits": ["CUSTOM_GOLD", "HW_CPU_X86_AVX"], "resource_provider_generation": 0}
    assert call("PUT", url, 200, both) == both | {"resource_provider_generation": 1}
    call("DELETE", "/traits/CUSTOM_GOLD", 409)
    assert call("GET", "/traits?associated=true", 200)["traits"] == ["HW_CPU_X86_AVX", "CUSTOM_GOLD"]
    assert call("GET", "/traits?name=startswith:CUSTOM_", 200)["traits"] == ["CUSTOM_GOLD"]
    assert call("GET", "/traits?name=in:CUSTOM_GOLD,NONE", 200)["traits"] == ["CUSTOM_GOLD"]
    call("GET", "/traits?name=GOLD", 400)
    call("DELETE", url, 204)
    call("DELETE", "/traits/CUSTOM_GOLD", 204)


def test_resource_classes_are_standard_or_custom(call: Any) -> None:
    call("PUT", "/resource_classes/CUSTOM_A", 201)
    call("PUT", "/resource_classes/CUSTOM_A", 204)
    call("PUT", "/resource_classes/VCPU", 400)
    call("POST", "/resource_classes", 409, {"name": "CUSTOM_A"})
    call("POST", "/resource_classes", 400, {"name": "A"})
    call.at("1.6")("PUT", "/resource_classes/CUSTOM_A", 200, {"name": "CUSTOM_B"})
    names = [item["name"] for item in call("GET", "/resource_classes", 200)["resource_classes"]]
    assert names[:2] == ["VCPU", "MEMORY_MB"] and names[-1] == "CUSTOM_B"
    one = call.provider("one", CUSTOM_B=1)
    call("DELETE", "/resource_classes/CUSTOM_B", 409)
    call("DELETE", f"{RP}/{one}/inventories", 204)
    call("DELETE", "/resource_classes/CUSTOM_B", 204)
    call("DELETE", "/resource_classes/VCPU", 400)
    call("GET", "/resource_classes/CUSTOM_B", 404)


def test_aggregates_in_both_forms(call: Any) -> None:
    one, group = call.provider("one"), str(uuid.uuid4())
    assert call.at("1.1")("PUT", f"{RP}/{one}/aggregates", 200, [group]) == {"aggregates": [group]}
    call("PUT", f"{RP}/{one}/aggregates", 409, {"aggregates": [], "resource_provider_generation": 5})
    call("PUT", f"{RP}/{one}/aggregates", 400, [group])
    assert [item["uuid"] for item in call("GET", f"{RP}?member_of={group}", 200)["resource_providers"]] == [one]
    assert call("GET", f"{RP}?member_of=!in:{group},{uuid.uuid4()}", 200)["resource_providers"] == []
    call.at("1.31")("GET", f"{RP}?member_of=!{group}", 400)
    call("GET", f"{RP}?member_of=a-name", 400)


def test_a_hosts_provider_follows_the_host(call: Any) -> None:
    facts = {"vcpus": 4, "memory_mb": 4096, "disk_gb": 10, "cpu_info": {"arch": "x86_64"}}
    with call.cloud.write() as session:
        session.add(Host(name="c1", groups=["compute"], variables={}, facts=facts, heartbeat_at=utcnow()))
        session.flush()
        service.sync_host(session, "c1", facts)
    (host,) = call("GET", f"{RP}?name=c1", 200)["resource_providers"]
    call("DELETE", f"{RP}/{host['uuid']}", 409)
    call("PUT", f"{RP}/{host['uuid']}", 409, {"name": "another"})
    call.traits(host["uuid"], "CUSTOM_RACK_7")
    assert {"CUSTOM_RACK_7", "COMPUTE_NODE"} <= set(call("GET", f"{RP}/{host['uuid']}/traits", 200)["traits"])
    with call.cloud.write() as session:
        service.sync_host(session, "c1", facts | {"vcpus": 8})
    assert call("GET", f"{RP}/{host['uuid']}/inventories/VCPU", 200)["total"] == 8


def test_unknown_filters_and_repeated_ones_are_400(call: Any) -> None:
    assert code(call("GET", f"{RP}?name=a&name=b", 400)) == "placement.query.duplicate_key"
    assert code(call("GET", f"{RP}?nothing=a", 400)) == "placement.query.bad_value"
    call.at("1.17")("GET", f"{RP}?required=COMPUTE_NODE", 400)
    call.at("1.38")("GET", f"{RP}?required=in:COMPUTE_NODE,HW_NUMA_ROOT", 400)
    call("GET", f"{RP}?required=in:COMPUTE_NODE,HW_NUMA_ROOT&required=!HW_NUMA_ROOT", 200)
    for query in ("required=NO_SUCH_TRAIT", "resources=VCPU", "resources=NONE:1", "in_tree=x", "required=,",
                  "resources=VCPU:99999999999", "required=HW_NUMA_ROOT,!HW_NUMA_ROOT"):  # fmt: skip
        call("GET", f"{RP}?{query}", 400)
