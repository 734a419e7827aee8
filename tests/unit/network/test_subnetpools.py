"""Subnet pools, and the network that a project gets when it asks for none."""

from __future__ import annotations

from typing import Any

import pytest

from api.http.context import Context
from api.http.faults import BadRequest
from api.network import service

from .conftest import Net

POOL = {"name": "p", "prefixes": ["10.10.0.0/16"], "default_prefixlen": 26}


def subnet(net: Net, pool: Any, **values: Any) -> Any:
    """A subnet of a pool, on a network of its own."""
    network = net.make("network", name="n")
    return net.make("subnet", network_id=network["id"], ip_version=4, subnetpool_id=pool["id"], **values)


def refusal(net: Net, pool: Any, status: int, **values: Any) -> str:
    network = net.make("network", name="n")
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "subnetpool_id": pool["id"], **values}}
    return net.refused("POST", "/subnets", body, status)[0]


def test_a_pool_s_life(net: Net, other: Net) -> None:
    pool = net.make("subnetpool", **POOL | {"prefixes": ["10.10.128.0/17", "10.10.0.0/17"]})
    assert pool["prefixes"] == ["10.10.0.0/16"]
    lengths = ("min_prefixlen", "default_prefixlen", "max_prefixlen")
    assert [pool[name] for name in lengths] == [8, 26, 32]
    assert (pool["ip_version"], pool["shared"], pool["is_default"]) == (4, False, False)
    path = f"/subnetpools/{pool['id']}"
    assert other.get("/subnetpools")["subnetpools"] == []
    other.get(path, 404)
    grown = {"subnetpool": {"prefixes": ["10.8.0.0/14"], "name": "q", "min_prefixlen": 24}}
    changed = net.call("PUT", path, grown)["subnetpool"]
    assert (changed["prefixes"], changed["name"], changed["min_prefixlen"]) == (["10.8.0.0/14"], "q", 24)
    smaller = {"subnetpool": {"prefixes": ["10.10.0.0/17"]}}
    assert net.refused("PUT", path, smaller, 400)[0] == "IllegalSubnetPoolPrefixUpdate"
    net.call("DELETE", path, status=204)
    net.get(path, 404)


@pytest.mark.parametrize(("values", "kind"), [
    ({"prefixes": []}, "HTTPBadRequest"),
    ({"prefixes": ["10.0.0.0/8", "2001:db8::/32"]}, "PrefixVersionMismatch"),
    ({"prefixes": ["10.0.0.0/8"], "min_prefixlen": 28, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
    ({"prefixes": ["10.0.0.0/8"], "default_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
    ({"prefixes": ["10.0.0.1/8"]}, "HTTPBadRequest"),
    ({"prefixes": ["10.0.0.0/8"], "min_prefixlen": "many"}, "HTTPBadRequest"),
])  # fmt: skip
def test_pools_that_cannot_be(net: Net, values: Any, kind: str) -> None:
    assert net.refused("POST", "/subnetpools", {"subnetpool": {"name": "p", **values}}, 400)[0] == kind


def test_subnets_are_cut_without_overlap(net: Net) -> None:
    pool = net.make("subnetpool", **POOL)
    first = subnet(net, pool)
    assert (first["cidr"], first["gateway_ip"], first["subnetpool_id"]) == ("10.10.0.0/26", "10.10.0.1", pool["id"])
    assert subnet(net, pool, cidr="10.10.0.128/25")["cidr"] == "10.10.0.128/25"
    assert subnet(net, pool, prefixlen=25)["cidr"] == "10.10.1.0/25"
    assert subnet(net, pool)["cidr"] == "10.10.0.64/26", "the lowest gap that is large enough"
    net.call("DELETE", f"/subnets/{first['id']}", status=204)
    assert subnet(net, pool)["cidr"] == "10.10.0.0/26"
    assert net.refused("DELETE", f"/subnetpools/{pool['id']}", None, 400)[0] == "SubnetPoolDeleteError"
    for values, status, kind in (
        ({"cidr": "10.10.0.0/25"}, 409, "SubnetAllocationError"),
        ({"cidr": "10.11.0.0/24"}, 409, "SubnetAllocationError"),
        ({"prefixlen": 7}, 400, "MinPrefixSubnetAllocationError"), ({"prefixlen": 16}, 409, "SubnetAllocationError"),
        ({"prefixlen": 33}, 400, "MaxPrefixSubnetAllocationError"), ({"ip_version": 6}, 400, "BadRequest"),
    ):  # fmt: skip
        assert refusal(net, pool, status, **values) == kind, values


def test_a_pool_s_quota_is_a_project_s(admin: Net, net: Net, other: Net) -> None:
    pool = admin.make("subnetpool", **POOL, shared=True, default_quota=128)
    subnet(net, pool)
    subnet(net, pool)
    assert refusal(net, pool, 409) == "SubnetPoolQuotaExceeded"
    assert subnet(other, pool)["cidr"] == "10.10.0.128/26"


def test_default_pools(admin: Net, net: Net) -> None:
    assert net.call("POST", "/subnetpools", {"subnetpool": POOL | {"is_default": True}}, 403)
    network = net.make("network", name="n")
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "use_default_subnetpool": True}}
    net.call("POST", "/subnets", body, 400)
    pool = admin.make("subnetpool", **POOL, shared=True, is_default=True)
    made = net.call("POST", "/subnets", body, 201)["subnet"]
    assert made["subnetpool_id"] == pool["id"]
    second = {"subnetpool": POOL | {"is_default": True}}
    assert admin.refused("POST", "/subnetpools", second, 400)[0] == "InvalidInput"
    six = admin.make("subnetpool", name="six", prefixes=["fd00::/48"], is_default=True, default_prefixlen=64)
    assert six["ip_version"] == 6


@pytest.fixture
def prepared(admin: Net, outside: Any) -> None:
    """What an operator makes for automatic topologies."""
    admin.call("PUT", f"/networks/{outside[0]['id']}", {"network": {"is_default": True}})
    admin.make("subnetpool", **POOL, shared=True, is_default=True)
    admin.make("subnetpool", name="six", prefixes=["fd00::/48"], default_prefixlen=64, shared=True, is_default=True)


def test_a_topology_is_made_once_and_goes_whole(cloud: Any, net: Net, other: Net, prepared: None) -> None:
    path = f"/auto-allocated-topology/{cloud.project_id}"
    assert net.get(f"{path}?fields=dry-run")["auto_allocated_topology"]["id"] == "dry-run=pass"
    assert net.get("/networks?name=auto_allocated_network")["networks"] == []
    network_id = net.get(path)["auto_allocated_topology"]["id"]
    assert net.get("/auto-allocated-topology/None")["auto_allocated_topology"]["id"] == network_id
    subnets = net.get(f"/subnets?network_id={network_id}")["subnets"]
    assert sorted(one["cidr"] for one in subnets) == ["10.10.0.0/26", "fd00::/64"]
    [router] = net.get("/routers")["routers"]
    assert router["external_gateway_info"]["network_id"]
    other.get(path, 403)
    other.call("DELETE", path, status=403)
    net.call("DELETE", path, status=204)
    assert net.get("/routers")["routers"] == []
    net.get(f"/networks/{network_id}", 404)
    net.call("DELETE", path, status=204)


def test_a_topology_in_use_stays(cloud: Any, net: Net, prepared: None) -> None:
    path = f"/auto-allocated-topology/{cloud.project_id}"
    network_id = net.get(path)["auto_allocated_topology"]["id"]
    net.make("port", network_id=network_id)
    net.call("DELETE", path, status=409)
    assert len(net.get("/routers")["routers"]) == 1, "all of it or nothing"


def test_what_the_operator_must_make(cloud: Any, admin: Net, net: Net, caller: Context, outside: Any) -> None:
    path = f"/auto-allocated-topology/{cloud.project_id}"
    assert net.refused("GET", path, None, 409) == (
        "AutoAllocationFailure", "Deployment error: No default router:external network.")  # fmt: skip
    admin.call("PUT", f"/networks/{outside[0]['id']}", {"network": {"is_default": True}})
    dry = net.refused("GET", f"{path}?fields=dry-run", None, 409)[1]
    assert dry == "Deployment error: No default subnetpools defined."
    with cloud.write() as session, pytest.raises(BadRequest, match="No default subnetpools"):
        service.auto_topology(session, caller)


def test_how_full_networks_are(admin: Net, net: Net, lan: Any) -> None:
    net.make("port", network_id=lan[0]["id"])
    net.get("/network-ip-availabilities", 403)
    [told] = admin.get(f"/network-ip-availabilities?network_id={lan[0]['id']}")["network_ip_availabilities"]
    assert (told["total_ips"], told["used_ips"], told["subnet_ip_availability"][0]["subnet_id"]) == (
        253, 1, lan[1]["id"])  # fmt: skip
    admin.get("/network-ip-availabilities/nothing", 404)
