"""Networks and subnets over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


def test_versions_and_resources_need_no_token(cloud: Any) -> None:
    assert cloud.anonymous.get("/network/").json["versions"][0]["id"] == "v2.0"
    names = {item["collection"] for item in cloud.anonymous.get("/network/v2.0/").json["resources"]}
    assert {"networks", "subnets", "ports", "routers", "floatingips", "security_groups"} <= names


def test_a_member_makes_and_unmakes_a_network(net: Any, jobs: Any) -> None:
    made = net.make("network", name="{{ lookup('pipe','x') }} 'é\n")
    assert made["name"] == "{{ lookup('pipe','x') }} 'é\n"
    assert (made["status"], made["shared"], made["router:external"], made["mtu"]) == ("ACTIVE", False, False, 1450)
    assert made["tenant_id"] == made["project_id"] and "provider:network_type" not in made
    changed = net.call("PUT", f"/networks/{made['id']}", {"network": {"name": "b", "description": "d"}})["network"]
    assert (changed["name"], changed["description"]) == ("b", "d")
    assert changed["revision_number"] > made["revision_number"]
    net.call("DELETE", f"/networks/{made['id']}")
    assert net.refused("GET", f"/networks/{made['id']}", None, 404)[0] == "NetworkNotFound"
    assert jobs() == []


def test_provider_attributes_are_the_administrators(net: Any, admin: Any) -> None:
    local = {"network": {"provider:network_type": "local"}}
    assert net.refused("POST", "/networks", local, 403)[0] == "PolicyNotAuthorized"
    net.make("network", shared=False)
    net.refused("POST", "/networks", {"network": {"shared": True}}, 403)
    one, two = admin.make("network"), admin.make("network")
    assert one["provider:network_type"] == "vxlan"
    assert one["provider:segmentation_id"] != two["provider:segmentation_id"]
    flat = {"provider:network_type": "flat", "provider:physical_network": "public"}
    admin.make("network", **flat)
    assert admin.refused("POST", "/networks", {"network": flat}, 409)[0] == "FlatNetworkInUse"
    taken = {"provider:network_type": "vxlan", "provider:segmentation_id": one["provider:segmentation_id"]}
    assert admin.refused("POST", "/networks", {"network": taken}, 409)[0] == "TunnelIdInUse"
    unknown = {"provider:network_type": "flat", "provider:physical_network": "nowhere"}
    assert admin.refused("POST", "/networks", {"network": unknown}, 400)[0] == "InvalidInput"


@pytest.mark.parametrize(("body", "message"), [
    ({"network": {"nmae": "x"}}, "Unrecognized attribute(s) 'nmae'"),
    ({"network": {"id": "x"}}, "Attribute 'id' not allowed in POST"),
    ({"netwrk": {}}, "Unable to find 'network' in request body"),
    ({"network": {"admin_state_up": "perhaps"}}, "admin_state_up"),
    ({"network": {"name": "n" * 256}}, "name"),
    ({"network": {"mtu": 9000}}, "maximum is 1450"),
    ({"network": {"tenant_id": "another"}}, "requires admin privileges"),
])  # fmt: skip
def test_wrong_input_is_named(net: Any, body: Any, message: str) -> None:
    assert message in net.refused("POST", "/networks", body, 400)[1]


def test_read_only_attributes_stay(net: Any, lan: Any) -> None:
    kind, message = net.refused("PUT", f"/networks/{lan[0]['id']}", {"network": {"status": "DOWN"}}, 400)
    assert (kind, message) == ("HTTPBadRequest", "Cannot update read-only attribute status")


def test_others_see_shared_and_external_networks_alone(net: Any, other: Any, admin: Any, lan: Any) -> None:
    other.get(f"/networks/{lan[0]['id']}", 404)
    other.refused("DELETE", f"/networks/{lan[0]['id']}", None, 404)
    shared = admin.make("network", name="shared", shared=True)
    assert [item["name"] for item in other.get("/networks")["networks"]] == ["shared"]
    other.refused("DELETE", f"/networks/{shared['id']}", None, 403)
    assert "provider:network_type" not in other.get(f"/networks/{shared['id']}")["network"]


def test_a_reader_changes_nothing(cloud: Any, lan: Any) -> None:
    path = f"/network/v2.0/networks/{lan[0]['id']}"
    assert cloud.reader.get(path).status_code == 200
    assert cloud.reader.post("/network/v2.0/networks", json={"network": {}}).status_code == 403
    assert cloud.reader.delete(path).status_code == 403


def test_bulk_is_all_or_nothing(net: Any, admin: Any, cloud: Any) -> None:
    made = net.call("POST", "/networks", {"networks": [{"name": "a"}, {"name": "b"}]})["networks"]
    assert [item["name"] for item in made] == ["a", "b"]
    admin.call("PUT", f"/quotas/{cloud.project_id}", {"quota": {"network": 3}})
    assert net.refused("POST", "/networks", {"networks": [{"name": "c"}, {"name": "d"}]}, 409)[0] == "OverQuota"
    assert len(net.get("/networks")["networks"]) == 2


def test_fifty_at_once_against_ten_give_ten(cloud: Any, admin: Any) -> None:
    admin.call("PUT", f"/quotas/{cloud.project_id}", {"quota": {"network": 10}})

    def post(number: int) -> int:
        answer = cloud.member.post("/network/v2.0/networks", json={"network": {"name": f"n{number}"}})
        return int(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(post, range(50)))
    assert (codes.count(201), codes.count(409)) == (10, 40)


def test_lists_filter_sort_and_page(net: Any) -> None:
    for name in ("c", "a", "b"):
        net.make("network", name=name)

    def names(query: str) -> list[str]:
        return [item["name"] for item in net.get(f"/networks?{query}")["networks"]]

    assert names("name=a&name=b&sort_key=name") == ["a", "b"]
    assert names("sort_key=name&sort_dir=desc") == ["c", "b", "a"]
    assert names("shared=true") == [] and sorted(names("admin_state_up=1&router:external=False")) == ["a", "b", "c"]
    assert net.get("/networks?name=a&fields=name")["networks"] == [{"name": "a"}]
    first = net.get("/networks?limit=2&sort_key=name")
    assert [item["name"] for item in first["networks"]] == ["a", "b"]
    [link] = first["networks_links"]
    assert link["rel"] == "next" and link["href"].startswith("https://cloud.test:8443/network/v2.0/networks?")
    second = net.get("/networks?" + link["href"].partition("?")[2])
    assert [item["name"] for item in second["networks"]] == ["c"]
    [back] = second["networks_links"]
    assert back["rel"] == "previous"
    assert [item["name"] for item in net.get("/networks?" + back["href"].partition("?")[2])["networks"]] == ["a", "b"]
    assert "invalid attribute for filtering" in net.refused("GET", "/networks?colour=red", None, 400)[1]


def test_tags(net: Any, lan: Any) -> None:
    path = f"/networks/{lan[0]['id']}/tags"
    assert net.call("PUT", path, {"tags": ["b", "a"]}) == {"tags": ["a", "b"]}
    net.call("PUT", f"{path}/c", status=201)
    net.call("DELETE", f"{path}/a")
    assert net.refused("DELETE", f"{path}/a", None, 404)[0] == "TagNotFound"
    assert net.get(f"/networks/{lan[0]['id']}")["network"]["tags"] == ["b", "c"]
    plain = net.make("network")

    def ids(query: str) -> list[str]:
        return [item["id"] for item in net.get(f"/networks?{query}")["networks"]]

    assert ids("tags=b,c") == [lan[0]["id"]] and ids("tags=b,x") == [] and ids("tags-any=b,x") == [lan[0]["id"]]
    assert ids("not-tags=b,c") == [plain["id"]]


def test_a_subnet_gets_gateway_and_pool(net: Any, lan: Any) -> None:
    assert lan[1]["gateway_ip"] == "10.0.0.1"
    assert lan[1]["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert net.get(f"/networks/{lan[0]['id']}")["network"]["subnets"] == [lan[1]["id"]]
    free = net.make("subnet", network_id=lan[0]["id"], ip_version=4, cidr="10.9.0.0/24", gateway_ip=None)
    assert free["gateway_ip"] is None and free["allocation_pools"] == [{"start": "10.9.0.1", "end": "10.9.0.254"}]
    six = net.make("subnet", network_id=lan[0]["id"], ip_version=6, cidr="2001:db8::/64", ipv6_ra_mode="slaac",
                   ipv6_address_mode="slaac")
    assert six["gateway_ip"] == "2001:db8::1" and six["ipv6_address_mode"] == "slaac"


@pytest.mark.parametrize(("values", "status", "kind"), [
    ({"cidr": "10.0.0.128/25"}, 400, "InvalidInput"),
    ({"cidr": "10.1.0.5/24"}, 400, "HTTPBadRequest"),
    ({"cidr": "10.1.0.0/24", "gateway_ip": "10.2.0.1"}, 400, "InvalidInput"),
    ({"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.3"}]}, 400, "InvalidAllocationPool"),
    ({"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.1.3"}]}, 400, "OutOfBoundsAllocationPool"),
    ({"allocation_pools": [{"start": "10.1.0.1", "end": "10.1.0.3"}]}, 409, "GatewayConflictWithAllocationPools"),
    ({"allocation_pools": [{"start": "10.1.0.2", "end": "10.1.0.9"}, {"start": "10.1.0.5", "end": "10.1.0.20"}]}, 409,
     "OverlappingAllocationPools"),
    ({"cidr": "2001:db8::/64"}, 400, "InvalidInput"),
    ({"cidr": "10.1.0.0/24", "subnetpool_id": "x"}, 404, "SubnetPoolNotFound"),
])  # fmt: skip
def test_wrong_subnets(net: Any, lan: Any, values: Any, status: int, kind: str) -> None:
    body = {"subnet": {"network_id": lan[0]["id"], "ip_version": 4, "cidr": "10.1.0.0/24", **values}}
    assert net.refused("POST", "/subnets", body, status)[0] == kind


def test_a_subnet_in_use_stays(net: Any, lan: Any) -> None:
    port = net.make("port", network_id=lan[0]["id"])
    assert net.refused("DELETE", f"/subnets/{lan[1]['id']}", None, 409)[0] == "SubnetInUse"
    assert net.refused("DELETE", f"/networks/{lan[0]['id']}", None, 409)[0] == "NetworkInUse"
    net.call("DELETE", f"/ports/{port['id']}")
    net.call("DELETE", f"/subnets/{lan[1]['id']}")
    net.call("DELETE", f"/networks/{lan[0]['id']}")


def test_quotas(net: Any, admin: Any, other: Any, cloud: Any, lan: Any) -> None:
    path = f"/quotas/{cloud.project_id}"
    assert net.get(path)["quota"]["port"] == 500
    other.get(path, 403)
    net.call("PUT", path, {"quota": {"port": 1}}, 403)
    assert admin.call("PUT", path, {"quota": {"port": 1}})["quota"]["port"] == 1
    net.make("port", network_id=lan[0]["id"])
    assert net.refused("POST", "/ports", {"port": {"network_id": lan[0]["id"]}}, 409)[0] == "OverQuota"
    assert net.get(f"{path}/details")["quota"]["port"] == {"limit": 1, "used": 1, "reserved": 0}
    admin.call("DELETE", path)
    assert net.get(path)["quota"] == net.get(f"{path}/default")["quota"]


def test_extensions_agents_and_zones(net: Any, admin: Any, hosts: None) -> None:
    aliases = {item["alias"] for item in net.get("/extensions")["extensions"]}
    assert {"router", "security-group", "external-net", "quotas", "quota_details", "binding", "port-security",
            "allowed-address-pairs", "net-mtu", "project-id", "availability_zone", "dns-integration",
            "standard-attr-tag", "provider", "extraroute", "agent"} <= aliases  # fmt: skip
    assert net.get("/extensions/router")["extension"]["alias"] == "router"
    net.get("/extensions/none-such", 404)
    found = admin.get("/agents?agent_type=DHCP agent")["agents"]
    assert [(agent["host"], agent["alive"]) for agent in found] == [("h1", True)]
    assert admin.get(f"/agents/{found[0]['id']}")["agent"]["binary"] == found[0]["binary"]
    net.get("/agents", 403)
    assert {zone["resource"] for zone in net.get("/availability_zones")["availability_zones"]} == {"network", "router"}
