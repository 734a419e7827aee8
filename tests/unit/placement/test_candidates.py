"""Allocation candidates: groups, trees, sharing, traits, aggregates, and the shape of each microversion."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

URL = "/allocation_candidates"


@pytest.fixture
def site(call: Any) -> dict[str, str]:
    """Two hosts of four CPUs; one has two network cards below it. A shared disk serves both, by an aggregate."""
    ids = {"c1": call.provider("c1", VCPU=4, MEMORY_MB=1024), "c2": call.provider("c2", VCPU=4, MEMORY_MB=1024)}
    for name in ("nic1", "nic2"):
        ids[name] = call.provider(name, ids["c1"], SRIOV_NET_VF=2)
    ids["disk"] = call.provider("disk", DISK_GB=100)
    ids["group"] = str(uuid.uuid4())
    call.traits(ids["disk"], "MISC_SHARES_VIA_AGGREGATE")
    call.traits(ids["c2"], "CUSTOM_FAST")
    call.traits(ids["nic1"], "CUSTOM_NET_A")
    for name in ("c1", "c2", "disk"):
        call.aggregates(ids[name], ids["group"])
    return ids


def chosen(call: Any, site: dict[str, str], query: str) -> list[set[str]]:
    """The names of each candidate's providers."""
    names = {value: key for key, value in site.items()}
    answer = call("GET", f"{URL}?{query}", 200)
    return [{names[item] for item in request["allocations"]} for request in answer["allocation_requests"]]


@pytest.mark.parametrize("query, expected", [
    ("resources=VCPU:1,MEMORY_MB:512", [{"c1"}, {"c2"}]),
    ("resources=VCPU:5", []),
    ("resources=VCPU:1&limit=1", [{"c1"}]),
    ("resources=VCPU:1&required=CUSTOM_FAST", [{"c2"}]),
    ("resources=VCPU:1&required=!CUSTOM_FAST", [{"c1"}]),
    ("resources=VCPU:1&required=in:CUSTOM_FAST,CUSTOM_NET_A", [{"c2"}]),
    ("resources=VCPU:1,DISK_GB:10", [{"c1", "disk"}, {"c2", "disk"}]),
    ("resources=DISK_GB:10", [{"disk"}]),
    ("resources=VCPU:1,SRIOV_NET_VF:1", [{"c1", "nic1"}, {"c1", "nic2"}]),
    ("resources=VCPU:1,SRIOV_NET_VF:1&required=CUSTOM_NET_A", [{"c1", "nic1"}]),
    ("resources=VCPU:1&resources1=SRIOV_NET_VF:1&required1=CUSTOM_NET_A", [{"c1", "nic1"}]),
    ("resources=VCPU:1&resources1=SRIOV_NET_VF:1&resources2=SRIOV_NET_VF:1&group_policy=isolate",
     [{"c1", "nic1", "nic2"}]),
    ("resources=VCPU:1&resources_A=SRIOV_NET_VF:2&resources_B=SRIOV_NET_VF:2&group_policy=none",
     [{"c1", "nic1", "nic2"}]),
    ("resources_A=SRIOV_NET_VF:2&resources_B=SRIOV_NET_VF:1&resources_C=SRIOV_NET_VF:2&group_policy=none", []),
    ("resources=VCPU:1&root_required=!CUSTOM_FAST", [{"c1"}]),
    ("resources=VCPU:1&root_required=CUSTOM_FAST", [{"c2"}]),
    ("resources_C=VCPU:1&resources_N=SRIOV_NET_VF:1&group_policy=none&same_subtree=_C,_N",
     [{"c1", "nic1"}, {"c1", "nic2"}]),
    ("resources_A=SRIOV_NET_VF:1&resources_B=SRIOV_NET_VF:1&group_policy=isolate&same_subtree=_A,_B", []),
    ("resources_N=SRIOV_NET_VF:1&required_H=!CUSTOM_NET_A&same_subtree=_H,_N", [{"nic1"}, {"nic2"}]),
])  # fmt: skip
def test_candidates(call: Any, site: dict[str, str], query: str, expected: list[set[str]]) -> None:
    assert chosen(call, site, query) == expected


def test_trees_and_aggregates_choose(call: Any, site: dict[str, str]) -> None:
    assert chosen(call, site, f"resources=VCPU:1&in_tree={site['nic1']}") == [{"c1"}]
    assert chosen(call, site, f"resources=VCPU:1&in_tree={uuid.uuid4()}") == []
    assert chosen(call, site, f"resources=VCPU:1&member_of={site['group']}") == [{"c1"}, {"c2"}]
    assert chosen(call, site, f"resources=VCPU:1&member_of={uuid.uuid4()}") == []
    assert chosen(call, site, f"resources=VCPU:1&member_of=!{site['group']}") == []
    assert chosen(call, site, f"resources1=SRIOV_NET_VF:1&member_of1={site['group']}") == [{"nic1"}, {"nic2"}]


def test_each_microversion_has_its_shape(call: Any, site: dict[str, str]) -> None:
    query = f"{URL}?resources=VCPU:1"
    old = call.at("1.10")("GET", query, 200)
    first = {"resource_provider": {"uuid": site["c1"]}, "resources": {"VCPU": 1}}
    assert old["allocation_requests"][0] == {"allocations": [first]}
    assert old["provider_summaries"][site["c1"]] == {"resources": {"VCPU": {"capacity": 4, "used": 0}}}
    assert call.at("1.12")("GET", query, 200)["allocation_requests"][0] == {
        "allocations": {site["c1"]: {"resources": {"VCPU": 1}}}}  # fmt: skip
    assert "MEMORY_MB" in call.at("1.27")("GET", query, 200)["provider_summaries"][site["c1"]]["resources"]
    new = call("GET", query, 200)
    assert new["allocation_requests"][0]["mappings"] == {"": [site["c1"]]}
    assert new["provider_summaries"][site["nic1"]]["root_provider_uuid"] == site["c1"]
    assert chosen(call.at("1.28"), site, "resources=VCPU:1,SRIOV_NET_VF:1") == []
    call.at("1.9")("GET", query, 404)


@pytest.mark.parametrize("query", [
    "", "resources=", "resources=VCPU:0", "required=CUSTOM_FAST", "resources=VCPU:1&limit=0",
    "resources=VCPU:1&limit=x", "resources=VCPU:1&nothing=1", "resources=VCPU:1&resources=VCPU:2",
    "resources1=VCPU:1&resources2=VCPU:1",
    "resources=VCPU:1&group_policy=many", "resources=VCPU:1&required1=CUSTOM_FAST", "resources=VCPU:1&same_subtree=_A",
    "resources=VCPU:1&in_tree=x", "resources=VCPU:1&member_of=in:", "resources=VCPU:1&required=!",
    "resources=VCPU:1&root_required=A,!A", "resources%20=VCPU:1", "resources=VCPU:1&required=in:",
])  # fmt: skip
def test_bad_queries_are_400(call: Any, query: str) -> None:
    call("GET", f"{URL}?{query}", 400)


def test_what_came_later_is_unknown_earlier(call: Any) -> None:
    for version, query in (("1.15", "limit=1"), ("1.16", "required=HW_NUMA_ROOT"), ("1.24", "resources1=VCPU:1"),
                           ("1.30", f"in_tree={uuid.uuid4()}"), ("1.32", "resources_A=VCPU:1"),
                           ("1.34", "root_required=HW_NUMA_ROOT"), ("1.35", "same_subtree=_A")):  # fmt: skip
        call.at(version)("GET", f"{URL}?resources=VCPU:1&{query}", 400)
