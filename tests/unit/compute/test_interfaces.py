"""Interfaces plugged into servers and taken out: records, jobs, and what a failure leaves."""

from __future__ import annotations

from typing import Any

import pytest

from api.engine.actions import Failure

from .conftest import Boot, Engine, at, show

UNKNOWN = "6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11"


@pytest.fixture
def server(boot: Boot, engine: Engine, network: str) -> str:
    id_: str = boot(networks=[{"uuid": network}]).json["server"]["id"]
    engine.run()
    return id_


@pytest.fixture
def second(ready: Any) -> str:
    made: str = ready.member.post("/network/v2.0/networks", json={"network": {"name": "second"}}).json["network"]["id"]
    subnet = {"network_id": made, "cidr": "10.1.0.0/24", "ip_version": 4}
    assert ready.member.post("/network/v2.0/subnets", json={"subnet": subnet}).status_code == 201
    return made


def attach(client: Any, server: str, version: str = "2.96", status: int = 200, **wanted: Any) -> Any:
    url = f"/compute/v2.1/servers/{server}/os-interface"
    answer = at(client, version).post(url, json={"interfaceAttachment": wanted})
    assert answer.status_code == status, answer.json
    return answer.json["interfaceAttachment"] if status == 200 else next(iter(answer.json.values()))["message"]


def ports(client: Any, server: str) -> list[str]:
    found = client.get(f"/compute/v2.1/servers/{server}/os-interface").json["interfaceAttachments"]
    return [port["port_id"] for port in found]


def test_attach_by_network_address_and_tag(ready: Any, engine: Engine, server: str, second: str) -> None:
    address = [{"ip_address": "10.1.0.77"}]
    made = attach(ready.member, server, net_id=second, fixed_ips=address, tag="backup")
    assert made["net_id"] == second and made["tag"] == "backup" and made["fixed_ips"][0]["ip_address"] == "10.1.0.77"
    assert engine.run() == ["compute.server.attach_interface"]
    plan = engine.plans[-1][1].hosts
    host = show(ready.admin, server)["OS-EXT-SRV-ATTR:host"]
    (domain,) = plan[host]["libvirt_domain"]["domains"]
    assert [interface["port_id"] for interface in domain["interfaces"]] == ports(ready.member, server)
    assert "power_state" not in domain and len(domain["interfaces"]) == 2
    assert {"network_bridge", "security_group"} <= set(plan[host])
    assert set(show(ready.member, server)["addresses"]) == {"net", "second"}
    actions = ready.member.get(f"/compute/v2.1/servers/{server}/os-instance-actions").json["instanceActions"]
    assert actions[0]["action"] == "attach_interface"


def test_a_given_port_is_bound_and_survives(ready: Any, engine: Engine, server: str, second: str) -> None:
    body = {"port": {"network_id": second, "name": "mine"}}
    port = ready.member.post("/network/v2.0/ports", json=body).json["port"]["id"]
    assert attach(ready.member, server, port_id=port)["port_id"] == port
    attach(ready.member, server, port_id=port, status=409)
    engine.run()
    url = f"/compute/v2.1/servers/{server}/os-interface/{port}"
    assert ready.member.delete(url).status_code == 202
    assert ready.member.get(url).status_code == 404 and ready.member.delete(url).status_code == 404
    assert engine.run() == ["compute.server.detach_interface"]
    host = show(ready.admin, server)["OS-EXT-SRV-ATTR:host"]
    plan = engine.plans[-1][1].hosts[host]
    assert len(plan["libvirt_domain"]["domains"][0]["interfaces"]) == 1
    assert [one["state"] for one in plan["network_bridge"]["ports"] if one["id"] == port] == ["absent"]
    free = ready.member.get(f"/network/v2.0/ports/{port}").json["port"]
    assert (free["device_id"], free["device_owner"]) == ("", "")


def test_a_port_that_is_plugged_again_keeps_its_tap(ready: Any, engine: Engine, boot: Boot, server: str,
                                                     second: str) -> None:  # fmt: skip
    host = show(ready.admin, server)["OS-EXT-SRV-ATTR:host"]
    other = boot(client=ready.admin, availability_zone=f"nova:{host}").json["server"]["id"]
    engine.run()
    body = {"port": {"network_id": second}}
    port = ready.member.post("/network/v2.0/ports", json=body).json["port"]["id"]
    attach(ready.member, server, port_id=port)
    engine.run()
    assert ready.member.delete(f"/compute/v2.1/servers/{server}/os-interface/{port}").status_code == 202
    attach(ready.admin, other, port_id=port)
    engine.run()
    detached = next(plan for name, plan in engine.plans if name == "compute.server.detach_interface")
    assert not [one for one in detached.hosts[host].get("network_bridge", {}).get("ports", []) if one["id"] == port]


def test_without_a_word_it_is_the_only_network(ready: Any, server: str, network: str) -> None:
    assert attach(ready.member, server)["net_id"] == network
    assert len(ports(ready.member, server)) == 2


@pytest.mark.parametrize(
    ("version", "wanted", "status"),
    [
        ("2.1", {"net_id": UNKNOWN}, 404), ("2.1", {"port_id": UNKNOWN}, 404), ("2.1", {"net_id": "name"}, 400),
        ("2.1", {"net_id": UNKNOWN, "port_id": UNKNOWN}, 400),
        ("2.1", {"fixed_ips": [{"ip_address": "10.0.0.9"}]}, 400), ("2.1", {"net_id": UNKNOWN, "fixed_ips": []}, 400),
        ("2.48", {"net_id": UNKNOWN, "tag": "x"}, 400),
        ("2.49", {"net_id": UNKNOWN, "tag": "x"}, 404), ("2.49", {"net_id": UNKNOWN, "tag": "a/b"}, 400),
    ],
)  # fmt: skip
def test_bad_requests(ready: Any, server: str, version: str, wanted: dict[str, Any], status: int) -> None:
    attach(ready.member, server, version, status, **wanted)
    assert len(ports(ready.member, server)) == 1


def test_an_address_that_is_taken_is_409(ready: Any, server: str, network: str) -> None:
    taken = next(iter(show(ready.member, server)["addresses"]["net"]))["addr"]
    attach(ready.member, server, status=409, net_id=network, fixed_ips=[{"ip_address": taken}])


def test_the_tag_is_shown_from_2_70_on(ready: Any, server: str) -> None:
    for version, shown in (("2.69", False), ("2.70", True)):
        url = f"/compute/v2.1/servers/{server}/os-interface"
        (interface,) = at(ready.member, version).get(url).json["interfaceAttachments"]
        assert ("tag" in interface) is shown


def test_states_locks_and_strangers(ready: Any, boot: Boot, server: str, network: str) -> None:
    building = boot(networks=[{"uuid": network}]).json["server"]["id"]
    assert "vm_state building" in attach(ready.member, building, status=409)
    ready.member.post(f"/compute/v2.1/servers/{server}/action", json={"lock": None})
    assert "locked" in attach(ready.member, server, status=409)
    attach(ready.other, server, status=404)
    attach(ready.reader, server, status=403)


def test_a_failed_attachment_gives_the_port_back(ready: Any, engine: Engine, server: str, second: str) -> None:
    attach(ready.member, server, net_id=second)
    engine.run(failure=Failure("failed", "the tap is busy", "c1", "Plug the interface in"))
    assert len(ports(ready.member, server)) == 1 and show(ready.member, server)["status"] == "ACTIVE"
    (last, *_) = ready.member.get(f"/compute/v2.1/servers/{server}/os-instance-actions").json["instanceActions"]
    assert "the tap is busy" in last["message"]
    ready.member.delete(f"/compute/v2.1/servers/{server}")
    engine.run()
    absent = [port for modules in engine.plans[-1][1].hosts.values()
              for port in modules.get("network_bridge", {}).get("ports", [])]  # fmt: skip
    assert [port["state"] for port in absent] == ["absent", "absent"]
