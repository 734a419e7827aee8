"""IPv6 in the API: modes, automatic addresses, who advertises a prefix, and what hosts are told."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from api.http.context import Context
from api.network import plan
from api.network.models import Network, Router

from .conftest import Net, plug

SLAAC = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
MAC = "fa:16:3e:00:00:05"
WEB = "2001:db8::f816:3eff:fe00:5"


def add_subnet(net: Net, network: Any, cidr: str = "2001:db8::/64", **values: Any) -> Any:
    return net.make("subnet", network_id=network["id"], ip_version=6, cidr=cidr, **values)


def dhcp_of(cloud: Any, network: Any) -> Any:
    with cloud.read() as session:
        return plan.dhcp_section(session, session.get_one(Network, network["id"]), {})


def router_of(cloud: Any, router: Any) -> Any:
    with cloud.read() as session:
        return plan.router_section(session, session.get_one(Router, router["id"]))


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
def test_automatic_addresses_follow_the_mac(net: Net, lan: Any, mode: str) -> None:
    before = net.make("port", network_id=lan[0]["id"], mac_address=MAC)
    subnet = add_subnet(net, lan[0], ipv6_ra_mode=mode, ipv6_address_mode=mode)
    own = {"subnet_id": subnet["id"], "ip_address": WEB}
    known = net.get(f"/ports/{before['id']}")["port"]
    assert own in known["fixed_ips"], "who was there before hears of the prefix too"
    assert known["revision_number"] > before["revision_number"]
    asked = [{"subnet_id": lan[1]["id"]}]
    other = net.make("port", network_id=lan[0]["id"], fixed_ips=asked, mac_address="fa:16:3e:00:00:06")
    assert [ip["ip_address"] for ip in other["fixed_ips"]] == ["10.0.0.3", "2001:db8::f816:3eff:fe00:6"]
    wrong = [{"subnet_id": subnet["id"], "ip_address": "2001:db8::77"}]
    kind, _ = net.refused("POST", "/ports", {"port": {"network_id": lan[0]["id"], "fixed_ips": wrong}}, 400)
    assert kind == "AllocationOnAutoAddressSubnet"


def test_a_new_mac_makes_a_new_address(admin: Net, net: Net, lan: Any) -> None:
    add_subnet(net, lan[0], **SLAAC)
    port = net.make("port", network_id=lan[0]["id"], mac_address="fa:16:3e:00:00:99")
    changed = admin.call("PUT", f"/ports/{port['id']}", {"port": {"mac_address": MAC}})["port"]
    assert [ip["ip_address"] for ip in changed["fixed_ips"]] == [port["fixed_ips"][0]["ip_address"], WEB]


def test_an_automatic_subnet_goes_with_its_addresses(cloud: Any, net: Net, caller: Context, lan: Any, hosts: None,
                                                      jobs: Any) -> None:  # fmt: skip
    subnet = add_subnet(net, lan[0], **SLAAC)
    port = plug(cloud, caller, lan[0])
    assert [ip.version for ip in port.fixed_ips] == [4, 6]
    done = len(jobs())
    net.call("DELETE", f"/subnets/{subnet['id']}", status=204)
    assert ("network.filter.apply", {"host": "h1"}) in jobs()[done:], "the filter forgets the address"
    assert len(net.get(f"/ports/{port.id}")["port"]["fixed_ips"]) == 1


def test_dhcp_advertises_until_there_is_a_router(cloud: Any, net: Net, caller: Context, lan: Any, hosts: None,
                                                jobs: Any) -> None:  # fmt: skip
    subnet = add_subnet(net, lan[0], **SLAAC)
    plug(cloud, caller, lan[0])
    [told] = [one for one in dhcp_of(cloud, lan[0])["subnets"] if one["ip_version"] == 6]
    assert (told["enable_dhcp"], told["ipv6_mode"], told["advertise"]) == (True, "slaac", True)
    router = net.make("router", name="r")
    done = len(jobs())
    net.call("PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    assert ("network.network.apply", {"network_id": lan[0]["id"]}) in jobs()[done:]
    [told] = [one for one in dhcp_of(cloud, lan[0])["subnets"] if one["ip_version"] == 6]
    assert told["advertise"] is False
    [interface] = router_of(cloud, router)["interfaces"]
    dhcp_address = [ip for ip in dhcp_of(cloud, lan[0])["port"]["addresses"] if ":" in ip][0]
    assert interface["addresses"] == ["2001:db8::1/64"]
    assert interface["advertised"] == [{"cidr": "2001:db8::/64", "mode": "slaac"}]
    assert interface["dns_nameservers"] == [dhcp_address.partition("/")[0]]
    net.call("PUT", f"/subnets/{subnet['id']}", {"subnet": {"dns_nameservers": ["2001:db8::53"]}})
    assert router_of(cloud, router)["interfaces"][0]["dns_nameservers"] == ["2001:db8::53"]
    net.call("PUT", f"/routers/{router['id']}", {"router": {"admin_state_up": False}})
    [told] = [one for one in dhcp_of(cloud, lan[0])["subnets"] if one["ip_version"] == 6]
    assert told["advertise"] is True, "a router that is down advertises nothing"


@pytest.mark.parametrize(("modes", "mode", "advertise"), [
    ({}, "dhcpv6-stateful", False),
    ({"ipv6_address_mode": "dhcpv6-stateful"}, "dhcpv6-stateful", False),
    ({"ipv6_address_mode": "slaac"}, "slaac", False),
    ({"ipv6_ra_mode": "slaac"}, None, False),
    ({"ipv6_ra_mode": "dhcpv6-stateless", "ipv6_address_mode": "dhcpv6-stateless"}, "dhcpv6-stateless", True),
])  # fmt: skip
def test_modes_reach_the_host(cloud: Any, net: Net, caller: Context, lan: Any, hosts: None, modes: Any,
                              mode: str | None, advertise: bool) -> None:  # fmt: skip
    add_subnet(net, lan[0], **modes)
    plug(cloud, caller, lan[0])
    [told] = [one for one in dhcp_of(cloud, lan[0])["subnets"] if one["ip_version"] == 6]
    assert (told.get("ipv6_mode"), told["advertise"]) == (mode, advertise)


def module_spec(name: str) -> Any:
    """What a module takes, from its own documentation (which its tests hold equal to its code)."""
    tree = ast.parse((Path(__file__).parents[3] / f"plugins/modules/{name}.py").read_text())
    [text] = [
        node.value.value for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION"
        and isinstance(node.value, ast.Constant)
    ]  # fmt: skip

    def options(documented: Any) -> Any:
        return {
            name: {key: option[key] for key in ("type", "elements", "choices", "default", "required") if key in option}
            | ({"options": options(option["suboptions"])} if "suboptions" in option else {})
            for name, option in documented.items()
        }

    return options(yaml.safe_load(str(text))["options"])


@pytest.mark.parametrize("modes", [None, {}, {"ipv6_ra_mode": "slaac"}, SLAAC])
def test_the_module_takes_what_the_plan_says(cloud: Any, net: Net, caller: Context, lan: Any, hosts: None,
                                             modes: Any) -> None:  # fmt: skip
    if modes is not None:
        add_subnet(net, lan[0], **modes)
    plug(cloud, caller, lan[0])
    result = ArgumentSpecValidator(module_spec("network_dhcp")).validate({"networks": [dhcp_of(cloud, lan[0])]})
    assert not result.error_messages


def test_a_router_has_one_port_for_all_prefixes_of_a_network(net: Net, lan: Any, hosts: None) -> None:
    router = net.make("router", name="r")
    first, second = add_subnet(net, lan[0], **SLAAC), add_subnet(net, lan[0], "2001:db8:0:1::/64", **SLAAC)
    path = f"/routers/{router['id']}"
    ports = [net.call("PUT", f"{path}/add_router_interface", {"subnet_id": one["id"]})["port_id"]
             for one in (lan[1], first, second)]  # fmt: skip
    assert ports[0] != ports[1] == ports[2]
    gone = net.call("PUT", f"{path}/remove_router_interface", {"subnet_id": first["id"]})
    assert (gone["subnet_ids"], gone["port_id"]) == ([first["id"]], ports[1])
    left = net.get(f"/ports/{ports[1]}")["port"]["fixed_ips"]
    assert left == [{"subnet_id": second["id"], "ip_address": "2001:db8:0:1::1"}]
    net.call("PUT", f"{path}/remove_router_interface", {"subnet_id": second["id"]})
    assert net.call("GET", f"/ports/{ports[1]}", status=404)


def test_ipv6_needs_room_in_a_frame(net: Net) -> None:
    small = net.make("network", name="small", mtu=1000)
    body = {"subnet": {"network_id": small["id"], "ip_version": 6, "cidr": "2001:db8::/64"}}
    assert net.refused("POST", "/subnets", body, 409)[0] == "NetworkMTUSubnetConflict"
    net.call("PUT", f"/networks/{small['id']}", {"network": {"mtu": 1280}})
    net.call("POST", "/subnets", body, 201)
    shrink = {"network": {"mtu": 1000}}
    assert net.refused("PUT", f"/networks/{small['id']}", shrink, 409)[0] == "NetworkMTUSubnetConflict"


def test_a_router_s_address_lies_in_its_subnet(net: Net, lan: Any, hosts: None) -> None:
    subnet = add_subnet(net, lan[0], gateway_ip="fe80::1")
    router = net.make("router", name="r")
    path = f"/routers/{router['id']}/add_router_interface"
    assert net.refused("PUT", path, {"subnet_id": subnet["id"]}, 400)[0] == "InvalidIpForSubnet"


def test_names_of_odd_addresses_are_dns_names(cloud: Any, net: Net, lan: Any) -> None:
    add_subnet(net, lan[0], cidr="2001:db8::/48")
    asked = [{"ip_address": "2001:db8:0:1::"}]
    port = net.make("port", network_id=lan[0]["id"], fixed_ips=asked)
    assert port["dns_assignment"][0]["hostname"] == "host-2001-db8-0-1--0"
