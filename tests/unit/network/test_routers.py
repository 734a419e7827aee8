"""Routers and floating IPs, and the jobs that they need."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def routed(net: Any, lan: Any, outside: Any) -> Any:
    """A router between the project's network and the outside."""
    router = net.make("router", name="r", external_gateway_info={"network_id": outside[0]["id"]})
    net.call("PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": lan[1]["id"]})
    return router


def test_a_router_without_anything_to_route_is_a_record(net: Any, hosts: None, jobs: Any) -> None:
    router = net.make("router", name="r")
    assert router["external_gateway_info"] is None and router["status"] == "ACTIVE"
    net.call("PUT", f"/routers/{router['id']}", {"router": {"name": "s"}})
    net.call("DELETE", f"/routers/{router['id']}")
    assert jobs() == []


def test_gateway_and_interface_reach_the_host(
    net: Any, admin: Any, routed: Any, lan: Any, outside: Any, jobs: Any
) -> None:
    gateway = net.get(f"/routers/{routed['id']}")["router"]["external_gateway_info"]
    assert gateway["network_id"] == outside[0]["id"] and gateway["enable_snat"] is True
    assert gateway["external_fixed_ips"] == [{"subnet_id": outside[1]["id"], "ip_address": "198.51.100.2"}]
    assert jobs() == [("network.router.apply", {"router_id": routed["id"]})] * 2
    [port] = net.get(f"/ports?device_id={routed['id']}")["ports"]
    assert (port["device_owner"], port["fixed_ips"][0]["ip_address"]) == ("network:router_interface", "10.0.0.1")
    owners = {item["device_owner"] for item in admin.get(f"/ports?device_id={routed['id']}")["ports"]}
    assert owners == {"network:router_interface", "network:router_gateway"}
    assert net.refused("DELETE", f"/ports/{port['id']}", None, 409)[0] == "ServicePortInUse"
    assert net.refused("DELETE", f"/routers/{routed['id']}", None, 409)[0] == "RouterInUse"
    assert admin.refused("DELETE", f"/networks/{outside[0]['id']}", None, 409)[0] == "NetworkInUse"
    path = f"/routers/{routed['id']}/remove_router_interface"
    answer = net.call("PUT", path, {"subnet_id": lan[1]["id"]})
    assert (answer["id"], answer["port_id"], answer["subnet_id"]) == (routed["id"], port["id"], lan[1]["id"])
    assert net.refused("PUT", path, {"subnet_id": lan[1]["id"]}, 404)[0] == "RouterInterfaceNotFoundForSubnet"
    assert net.refused("PUT", path, {"port_id": port["id"]}, 404)[0] == "RouterInterfaceNotFound"
    cleared = net.call("PUT", f"/routers/{routed['id']}", {"router": {"external_gateway_info": {}}})["router"]
    assert cleared["external_gateway_info"] is None
    net.call("DELETE", f"/routers/{routed['id']}")
    name, args = jobs()[-1]
    assert name == "network.router.apply" and args["host"] == "h1"


def test_what_members_may_say_of_a_gateway(net: Any, admin: Any, outside: Any) -> None:
    network_id = outside[0]["id"]
    off = {"network_id": network_id, "enable_snat": False}
    net.refused("POST", "/routers", {"router": {"external_gateway_info": off}}, 403)
    net.make("router", external_gateway_info={"network_id": network_id, "enable_snat": True})
    fixed = {"network_id": network_id, "enable_snat": False, "external_fixed_ips": [{"ip_address": "198.51.100.9"}]}
    gateway = admin.make("router", external_gateway_info=fixed)["external_gateway_info"]
    assert gateway["enable_snat"] is False and gateway["external_fixed_ips"][0]["ip_address"] == "198.51.100.9"


def test_interfaces_that_cannot_be(net: Any, routed: Any, lan: Any) -> None:
    path = f"/routers/{routed['id']}/add_router_interface"
    net.refused("PUT", path, {}, 400)
    assert "already has a port" in net.refused("PUT", path, {"subnet_id": lan[1]["id"]}, 400)[1]
    lonely = net.make("subnet", network_id=net.make("network")["id"], ip_version=4, cidr="10.0.0.0/25")
    assert "overlaps" in net.refused("PUT", path, {"subnet_id": lonely["id"]}, 400)[1]
    blind = net.make("subnet", network_id=lonely["network_id"], ip_version=4, cidr="10.3.0.0/24", gateway_ip=None)
    assert "must have a gateway" in net.refused("PUT", path, {"subnet_id": blind["id"]}, 400)[1]
    net.refused("PUT", path, {"subnet_id": "none-such"}, 404)
    port = net.make("port", network_id=lonely["network_id"], fixed_ips=[{"subnet_id": blind["id"]}], device_id="x")
    assert net.refused("PUT", path, {"port_id": port["id"]}, 409)[0] == "PortInUse"
    net.call("PUT", f"/ports/{port['id']}", {"port": {"device_id": ""}})
    assert net.call("PUT", path, {"port_id": port["id"]})["port_id"] == port["id"]


def test_extra_routes(net: Any, routed: Any, lan: Any) -> None:
    path, route = f"/routers/{routed['id']}", {"destination": "10.99.0.0/16", "nexthop": "10.0.0.9"}
    wrong = {"router": {"routes": [{"destination": "10.99.0.0/16", "nexthop": "10.77.0.9"}]}}
    assert net.refused("PUT", path, wrong, 400)[0] == "InvalidRoutes"
    assert net.call("PUT", path, {"router": {"routes": [route]}})["router"]["routes"] == [route]
    more = {"destination": "10.98.0.0/16", "nexthop": "10.0.0.9"}
    added = net.call("PUT", f"{path}/add_extraroutes", {"router": {"routes": [route, more]}})["router"]["routes"]
    assert added == [route, more]
    body = {"subnet_id": lan[1]["id"]}
    assert net.refused("PUT", f"{path}/remove_router_interface", body, 409)[0] == "RouterInterfaceInUseByRoute"
    left = net.call("PUT", f"{path}/remove_extraroutes", {"router": {"routes": [route]}})["router"]["routes"]
    assert left == [more]


def test_a_floating_ip_moves(net: Any, routed: Any, lan: Any, outside: Any, jobs: Any) -> None:
    network_id = outside[0]["id"]
    one, two = (net.make("port", network_id=lan[0]["id"]) for _ in range(2))
    before = len(jobs())
    floating = net.make("floatingip", floating_network_id=network_id)
    assert floating["status"] == "DOWN" and floating["port_id"] is None and len(jobs()) == before
    path = f"/floatingips/{floating['id']}"
    moved = net.call("PUT", path, {"floatingip": {"port_id": one["id"]}})["floatingip"]
    assert (moved["router_id"], moved["fixed_ip_address"]) == (routed["id"], "10.0.0.2")
    moved = net.call("PUT", path, {"floatingip": {"port_id": two["id"]}})["floatingip"]
    assert moved["fixed_ip_address"] == "10.0.0.3" and len(jobs()) == before + 2
    described = net.call("PUT", path, {"floatingip": {"description": "d"}})["floatingip"]
    assert described["port_id"] == two["id"]
    taken = {"floatingip": {"floating_network_id": network_id, "port_id": two["id"]}}
    assert net.refused("POST", "/floatingips", taken, 409)[0] == "FloatingIPPortAlreadyAssociated"
    body = {"subnet_id": lan[1]["id"]}
    kind = net.refused("PUT", f"/routers/{routed['id']}/remove_router_interface", body, 409)[0]
    assert kind == "RouterInterfaceInUseByFloatingIP"
    kind = net.refused("PUT", f"/routers/{routed['id']}", {"router": {"external_gateway_info": None}}, 409)[0]
    assert kind == "RouterExternalGatewayInUseByFloatingIp"
    free = net.call("PUT", path, {"floatingip": {"port_id": None}})["floatingip"]
    assert (free["port_id"], free["router_id"], free["fixed_ip_address"]) == (None, None, None)
    net.call("PUT", path, {"floatingip": {"port_id": one["id"]}})
    net.call("DELETE", f"/ports/{one['id']}")
    assert net.get(path)["floatingip"]["port_id"] is None
    net.call("DELETE", path)
    assert net.refused("DELETE", path, None, 404)[0] == "FloatingIPNotFound"


def test_floating_ips_that_cannot_be(net: Any, admin: Any, lan: Any, outside: Any) -> None:
    port = net.make("port", network_id=lan[0]["id"])

    def refused(status: int, **values: Any) -> tuple[str, str]:
        body = {"floatingip": {"floating_network_id": outside[0]["id"], **values}}
        answer: tuple[str, str] = net.refused("POST", "/floatingips", body, status)
        return answer

    assert refused(404, port_id=port["id"])[0] == "ExternalGatewayForFloatingIPNotFound"
    assert refused(404, port_id="none-such")[0] == "PortNotFound"
    assert "not a valid external" in refused(400, floating_network_id=lan[0]["id"])[1]
    refused(403, floating_ip_address="198.51.100.77")
    chosen = admin.make("floatingip", floating_network_id=outside[0]["id"], floating_ip_address="198.51.100.77")
    assert chosen["floating_ip_address"] == "198.51.100.77"
    assert net.get("/floatingips")["floatingips"] == []  # nothing is left of the refused ones
