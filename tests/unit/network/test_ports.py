"""Ports: addresses, port security, groups."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert

from api.network import ipam
from api.network.models import Port, PortIp, Subnet


def addresses(port: Any) -> list[str]:
    return [ip["ip_address"] for ip in port["fixed_ips"]]


def test_a_port_gets_address_mac_and_default_group(net: Any, lan: Any, jobs: Any) -> None:
    port = net.make("port", network_id=lan[0]["id"], name="p")
    assert addresses(port) == ["10.0.0.2"] and port["mac_address"].startswith("fa:16:3e:")
    [group] = net.get("/security-groups")["security_groups"]
    assert port["security_groups"] == [group["id"]] and port["status"] == "DOWN"
    assert port["dns_assignment"][0]["fqdn"] == "host-10-0-0-2.stratiform.internal."
    assert "binding:host_id" not in port and port["binding:vnic_type"] == "normal"
    assert jobs() == []


def test_addresses_by_subnet_by_address_and_refused(net: Any, lan: Any) -> None:
    network_id, subnet_id = lan[0]["id"], lan[1]["id"]

    def make(*fixed_ips: Any) -> Any:
        return net.make("port", network_id=network_id, fixed_ips=list(fixed_ips))

    def refused(*fixed_ips: Any, status: int = 400) -> str:
        body = {"port": {"network_id": network_id, "fixed_ips": list(fixed_ips)}}
        return str(net.refused("POST", "/ports", body, status)[0])

    assert addresses(make({"ip_address": "10.0.0.50"})) == ["10.0.0.50"]
    assert addresses(make({"subnet_id": subnet_id})) == ["10.0.0.51"]
    assert addresses(make({"subnet_id": subnet_id}, {"subnet_id": subnet_id})) == ["10.0.0.52", "10.0.0.53"]
    assert addresses(make()) == []
    assert refused({"ip_address": "10.0.0.50"}, status=409) == "IpAddressAlreadyAllocated"
    assert refused({"ip_address": "10.7.0.1"}) == "InvalidIpForNetwork"
    assert refused({"ip_address": "10.0.0.255", "subnet_id": subnet_id}) == "InvalidIpForSubnet"
    assert refused({"subnet_id": "none-such"}) == "InvalidInput"
    assert refused({"ip_address": "ten"}) == "HTTPBadRequest"


def test_a_pool_is_used_to_the_last_address(net: Any, lan: Any) -> None:
    subnet = net.make("subnet", network_id=net.make("network")["id"], ip_version=4, cidr="10.5.0.0/29")
    ports = [net.make("port", network_id=subnet["network_id"]) for _ in range(5)]
    assert sorted(address for port in ports for address in addresses(port)) == [f"10.5.0.{n}" for n in range(2, 7)]
    body = {"port": {"network_id": subnet["network_id"]}}
    assert net.refused("POST", "/ports", body, 409)[0] == "IpAddressGenerationFailure"
    net.call("DELETE", f"/ports/{ports[1]['id']}")
    net.call("DELETE", f"/ports/{ports[3]['id']}")
    again = [addresses(net.make("port", network_id=subnet["network_id"])) for _ in range(2)]
    assert again == [addresses(ports[1]), addresses(ports[3])]


def test_ports_made_at_once_share_no_address(cloud: Any, lan: Any) -> None:
    def post(_number: int) -> str:
        answer = cloud.member.post("/network/v2.0/ports", json={"port": {"network_id": lan[0]["id"]}})
        assert answer.status_code == 201, answer.data
        return addresses(answer.json["port"])[0]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(post, range(40)))
    assert sorted(found) == sorted(f"10.0.0.{n}" for n in range(2, 42))


@pytest.mark.parametrize("holes", [(), (30_000,)])
def test_a_full_16_is_searched_by_sql(cloud: Any, net: Any, holes: tuple[int, ...]) -> None:
    network = net.make("network")
    made = net.make("subnet", network_id=network["id"], ip_version=4, cidr="10.16.0.0/16")
    with cloud.write() as session:
        subnet = session.get_one(Subnet, made["id"])
        port = Port(network_id=network["id"], mac_address="fa:16:3e:00:00:01", project_id="x", profile={},
                    allowed_address_pairs=[])  # fmt: skip
        session.add(port)
        session.flush()
        base = ipam.cidr_of(subnet.cidr)
        session.execute(insert(PortIp), [
            {"port_id": port.id, "subnet_id": subnet.id, "address": str(base[n]), "number": int(base[n])}
            for n in range(2, 65_535) if n not in holes])  # fmt: skip
        assert ipam.free_address(session, subnet) == (str(base[holes[0]]) if holes else None)


def test_slaac_addresses_follow_the_mac(net: Any, lan: Any) -> None:
    net.make("subnet", network_id=lan[0]["id"], ip_version=6, cidr="2001:db8::/64", ipv6_ra_mode="slaac",
             ipv6_address_mode="slaac")
    port = net.make("port", network_id=lan[0]["id"], mac_address="fa:16:3e:11:22:33")
    assert addresses(port) == ["10.0.0.2", "2001:db8::f816:3eff:fe11:2233"]
    plain = net.make("subnet", network_id=net.make("network")["id"], ip_version=6, cidr="2001:db8:1::/64")
    two = [addresses(net.make("port", network_id=plain["network_id"])) for _ in range(2)]
    assert two == [["2001:db8:1::2"], ["2001:db8:1::3"]]


def test_port_security_and_groups_fit_together(net: Any, lan: Any) -> None:
    network_id = lan[0]["id"]
    open_port = net.make("port", network_id=network_id, port_security_enabled=False)
    assert open_port["security_groups"] == []
    port = net.make("port", network_id=network_id)
    path = f"/ports/{port['id']}"
    off = {"port": {"port_security_enabled": False}}
    assert net.refused("PUT", path, off, 409)[0] == "PortSecurityPortHasSecurityGroup"
    net.call("PUT", path, {"port": {"port_security_enabled": False, "security_groups": []}})
    pairs = {"port": {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}}
    assert net.refused("PUT", path, pairs, 409)[0] == "AddressPairAndPortSecurityRequired"
    assert net.refused("POST", "/ports", {"port": {"network_id": network_id, "security_groups": ["x"]}}, 404)[0] == (
        "SecurityGroupNotFound")
    pair = net.make("port", network_id=network_id, allowed_address_pairs=[{"ip_address": "10.0.0.9"}])
    assert pair["allowed_address_pairs"] == [{"ip_address": "10.0.0.9", "mac_address": pair["mac_address"]}]


def test_macs_are_unique_and_lists_find_ports(net: Any, lan: Any) -> None:
    port = net.make("port", network_id=lan[0]["id"], mac_address="FA-16-3E-00-00-01", device_id="d")
    assert port["mac_address"] == "fa:16:3e:00:00:01"
    body = {"port": {"network_id": lan[0]["id"], "mac_address": "fa:16:3e:00:00:01"}}
    assert net.refused("POST", "/ports", body, 409)[0] == "MacAddressInUse"
    net.make("port", network_id=lan[0]["id"])

    def ids(query: str) -> list[str]:
        return [item["id"] for item in net.get(f"/ports?{query}")["ports"]]

    for query in ("device_id=d", "fixed_ips=ip_address=10.0.0.2", "fixed_ips=ip_address_substr=0.2",
                  "mac_address=fa:16:3e:00:00:01"):  # fmt: skip
        assert ids(query) == [port["id"]], query
    assert len(ids(f"network_id={lan[0]['id']}&fixed_ips=subnet_id={lan[1]['id']}")) == 2
    assert len(ids(f"security_groups={port['security_groups'][0]}")) == 2


def test_what_only_administrators_may_say_of_a_port(net: Any, admin: Any, other: Any, lan: Any) -> None:
    network_id = lan[0]["id"]
    net.refused("POST", "/ports", {"port": {"network_id": network_id, "binding:host_id": "h1"}}, 403)
    shared = admin.make("network", shared=True)
    admin.make("subnet", network_id=shared["id"], ip_version=4, cidr="10.8.0.0/24")
    assert addresses(other.make("port", network_id=shared["id"])) == ["10.8.0.2"]
    fixed = {"network_id": shared["id"], "fixed_ips": [{"ip_address": "10.8.0.77"}]}
    other.refused("POST", "/ports", {"port": fixed}, 403)
    other.refused("POST", "/ports", {"port": {"network_id": network_id}}, 404)
    other.refused("POST", "/ports", {"port": {"network_id": shared["id"], "device_owner": "network:dhcp"}}, 403)


def test_an_address_moves_with_an_update(net: Any, lan: Any) -> None:
    port = net.make("port", network_id=lan[0]["id"])
    body = {"port": {"fixed_ips": [{"subnet_id": lan[1]["id"]}, {"ip_address": "10.0.0.99"}], "name": "n"}}
    changed = net.call("PUT", f"/ports/{port['id']}", body)["port"]
    assert addresses(changed) == ["10.0.0.2", "10.0.0.99"] or addresses(changed) == ["10.0.0.99", "10.0.0.2"]
    only = net.call("PUT", f"/ports/{port['id']}", {"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}})["port"]
    assert addresses(only) == ["10.0.0.99"]
    assert addresses(net.make("port", network_id=lan[0]["id"], fixed_ips=[{"ip_address": "10.0.0.2"}])) == ["10.0.0.2"]
