"""What compute gets, what the engine runs, what hosts report."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy import select

from api.engine.actions import Failure, Outcome, action, notify
from api.engine.models import Job
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, Forbidden
from api.network import service
from api.network.models import Router


def attach(cloud: Any, caller: Context, server_id: str, host: str, *requested: service.RequestedPort) -> Any:
    with cloud.write() as session:
        return service.attach_ports(
            session, caller, server_id=server_id, host=host, availability_zone="nova", hostname=server_id,
            requested=list(requested), security_groups=[])  # fmt: skip


def test_a_server_is_plugged_in_and_out(
    cloud: Any, net: Any, lan: Any, hosts: None, caller: Context, jobs: Any
) -> None:
    given = net.make("port", network_id=lan[0]["id"])
    made, bound = attach(cloud, caller, "s1", "h2", service.RequestedPort(network_id=lan[0]["id"], tag="nic"),
                         service.RequestedPort(port_id=given["id"]))  # fmt: skip
    if made.id == given["id"]:
        made, bound = bound, made
    assert (made.made_by_server, bound.made_by_server, made.tag) == (True, False, "nic")
    assert made.network_name == "lan" and made.security_groups[0][1] == "default"
    ids = [made.id, bound.id]
    with cloud.read() as session:
        assert service.port_locks(session, "h2", ids) == {
            "filter@h2", f"network:{lan[0]['id']}@h2", f"network:{lan[0]['id']}@h1"}
        sections = service.plan_attach(session, "h2", ids)
        assert service.port_at(session, network_id=lan[0]["id"], router_id=None,
                               address=made.fixed_ips[0].address).server_id == "s1"
        assert service.network_data(session, "s1")["networks"][0]["type"] == "ipv4_dhcp"
    [bridge] = sections["h2"]["network_bridge"]["networks"]
    assert bridge["peers"] == ["192.0.2.1"] and bridge["tunnel_ip"] == "192.0.2.2" and bridge["type"] == "vxlan"
    assert {port["tap"] for port in sections["h2"]["network_bridge"]["ports"]} == {f"tap{id_[:11]}" for id_ in ids}
    [dhcp] = sections["h1"]["network_dhcp"]["networks"]
    assert {host["hostname"] for host in dhcp["hosts"]} == {"s1"} and dhcp["port"]["addresses"] == ["10.0.0.4/24"]
    assert sections["h1"]["network_bridge"]["networks"][0]["peers"] == ["192.0.2.2"]
    guarded = sections["h2"]["security_group"]
    assert guarded["purge"] is True and {port["id"] for port in guarded["ports"]} == set(ids)
    assert guarded["address_sets"] == {made.security_groups[0][0]: ["10.0.0.2", "10.0.0.3"]}
    with cloud.write() as session:
        gone = service.detach_ports(session, "s1")
    kept = [service.DetachedPort(**dataclasses.asdict(port)) for port in gone]
    with cloud.read() as session:
        sections = service.plan_detach(session, "h2", kept)
    assert {port["state"] for port in sections["h2"]["network_bridge"]["ports"]} == {"absent"}
    assert sections["h2"]["network_bridge"]["networks"][0]["state"] == "absent"
    assert sections["h2"]["security_group"]["ports"] == []
    left = net.get(f"/ports?network_id={lan[0]['id']}&device_id=")["ports"]
    assert [port["id"] for port in left] == [given["id"]]


def test_what_compute_answers_for_wrong_requests(
    cloud: Any, net: Any, other: Any, admin: Any, lan: Any, outside: Any, caller: Context
) -> None:
    want = service.RequestedPort
    foreign = other.make("port", network_id=other.make("network")["id"])
    bare = net.make("network")
    for fault, request in (
        (BadRequest, want(network_id="none-such")), (BadRequest, want(port_id=foreign["id"])),
        (BadRequest, want(network_id=bare["id"])), (Forbidden, want(network_id=outside[0]["id"])),
        (BadRequest, want(network_id=lan[0]["id"], fixed_ip="10.0.0.1/x")),
        (BadRequest, want(network_id=lan[0]["id"], fixed_ip="10.9.9.9")),
    ):  # fmt: skip
        with pytest.raises(fault):
            attach(cloud, caller, "s1", "h1", request)
    port = net.make("port", network_id=lan[0]["id"])
    attach(cloud, caller, "s1", "h1", want(port_id=port["id"]))
    with pytest.raises(Conflict):
        attach(cloud, caller, "s2", "h1", want(port_id=port["id"]))
    admin.call("PUT", f"/quotas/{cloud.project_id}", {"quota": {"port": 1}})
    with pytest.raises(Forbidden, match="Maximum number of ports exceeded"):
        attach(cloud, caller, "s2", "h1", want(network_id=lan[0]["id"]))
    with cloud.read() as session:
        assert [view.name for view in service.usable_networks(session, caller)] == ["lan", ""]


def test_a_rule_concerns_its_hosts_alone(
    cloud: Any, net: Any, lan: Any, hosts: None, caller: Context, jobs: Any
) -> None:
    attach(cloud, caller, "s1", "h1", service.RequestedPort(network_id=lan[0]["id"]))
    unused = net.make("security_group", name="unused")
    [default] = net.get("/security-groups?name=default")["security_groups"]
    before = len(jobs())
    net.make("security_group_rule", security_group_id=unused["id"], direction="ingress")
    assert len(jobs()) == before
    net.make("security_group_rule", security_group_id=default["id"], direction="ingress", protocol="icmp")
    assert jobs()[before:] == [("network.filter.apply", {"host": "h1"})]
    attach(cloud, caller, "s2", "h2", service.RequestedPort(network_id=lan[0]["id"]))
    names = jobs()[before + 1:]
    assert ("network.filter.apply", {"host": "h1"}) in names  # its members trust the new one
    assert ("network.network.apply", {"network_id": lan[0]["id"]}) in names  # and its tunnel must reach it


def test_hosts_tell_whether_ports_are_up(cloud: Any, net: Any, lan: Any, hosts: None, caller: Context) -> None:
    [port] = attach(cloud, caller, "s1", "h1", service.RequestedPort(network_id=lan[0]["id"]))

    def status() -> str:
        return str(net.get(f"/ports/{port.id}")["port"]["status"])

    for kind, message, expected in (
        ("port", {"type": "port", "id_prefix": port.id[:11], "up": True}, "ACTIVE"),
        ("port", {"type": "port", "id_prefix": port.id[:11], "up": False}, "DOWN"),
        ("snapshot", {"ports": [{"id_prefix": port.id[:11], "up": True}]}, "ACTIVE"),
        ("snapshot", {"ports": []}, "DOWN"),
    ):  # fmt: skip
        with cloud.write() as session:
            notify(session, kind, "h1", message)
        assert status() == expected
    with cloud.write() as session:
        notify(session, "port", "h2", {"type": "port", "id_prefix": port.id[:11], "up": True})
    assert status() == "DOWN"  # it is another host's


@pytest.fixture
def routed(net: Any, lan: Any, outside: Any) -> Any:
    router = net.make("router", external_gateway_info={"network_id": outside[0]["id"]})
    net.call("PUT", f"/routers/{router['id']}/add_router_interface", {"subnet_id": lan[1]["id"]})
    return router


def test_a_router_run_covers_the_jobs_behind_it(cloud: Any, net: Any, lan: Any, outside: Any, routed: Any) -> None:
    port = net.make("port", network_id=lan[0]["id"])
    floating = net.make("floatingip", floating_network_id=outside[0]["id"], port_id=port["id"])
    apply = action("network.router.apply")
    with cloud.read() as session:
        first, *waiting = session.scalars(select(Job).order_by(Job.number))
        plan = apply.plan(session, first)
        assert set(apply.locks(session, first)) == {
            f"router:{routed['id']}", f"network:{lan[0]['id']}@h1", f"network:{outside[0]['id']}@h1"}
    [state] = plan.hosts["h1"]["network_router"]["routers"]
    assert state["interfaces"][0]["addresses"] == ["10.0.0.1/24"]
    assert state["gateway"]["gateway_ips"] == ["198.51.100.1"]
    assert state["gateway"]["bridge"] == "br-ext" and state["gateway"]["enable_snat"] is True
    assert state["floating_ips"] == [{"id": floating["id"], "floating_ip": floating["floating_ip_address"],
                                      "fixed_ip": "10.0.0.2"}]
    with cloud.write() as session:
        apply.succeeded(session, session.get_one(Job, first.number), Outcome())
    assert net.get(f"/floatingips/{floating['id']}")["floatingip"]["status"] == "ACTIVE"
    with cloud.read() as session:
        for job in waiting:
            assert apply.plan(session, session.get_one(Job, job.number)).hosts == {}
    net.call("PUT", f"/floatingips/{floating['id']}", {"floatingip": {"port_id": None}})
    with cloud.read() as session:
        last = session.scalars(select(Job).order_by(Job.number.desc())).first()
        assert apply.plan(session, last).hosts["h1"]["network_router"]["routers"][0]["floating_ips"] == []


def test_a_failed_router_run_shows(cloud: Any, net: Any, routed: Any) -> None:
    apply = action("network.router.apply")
    with cloud.write() as session:
        job = session.scalars(select(Job)).first()
        apply.failed(session, job, Failure("failed", "no such bridge", host="h1"))
    assert net.get(f"/routers/{routed['id']}")["router"]["status"] == "ERROR"
    with cloud.write() as session:
        job = session.scalars(select(Job)).first()
        apply.plan(session, job)
        apply.succeeded(session, job, Outcome())
        assert session.get_one(Router, routed["id"]).status == "ACTIVE"


def test_what_is_deleted_is_taken_off_its_host(cloud: Any, net: Any, lan: Any, routed: Any, caller: Context) -> None:
    attach(cloud, caller, "s1", "h1", service.RequestedPort(network_id=lan[0]["id"]))
    net.call("PUT", f"/routers/{routed['id']}/remove_router_interface", {"subnet_id": lan[1]["id"]})
    net.call("DELETE", f"/routers/{routed['id']}")
    with cloud.write() as session:
        service.detach_ports(session, "s1")
    net.call("DELETE", f"/networks/{lan[0]['id']}")
    with cloud.read() as session:
        jobs = list(session.scalars(select(Job).order_by(Job.number)))
        router = next(job for job in reversed(jobs) if job.action == "network.router.apply")
        section = action(router.action).plan(session, router).hosts["h1"]
        assert section["network_router"]["routers"][0]["state"] == "absent"
        network = next(job for job in reversed(jobs) if job.action == "network.network.apply")
        section = action(network.action).plan(session, network).hosts["h1"]
    assert section["network_dhcp"]["networks"][0]["state"] == "absent"
    assert section["network_bridge"]["networks"][0]["state"] == "absent"


def test_a_restarted_host_gets_everything_back(cloud: Any, lan: Any, routed: Any, caller: Context, jobs: Any) -> None:
    attach(cloud, caller, "s1", "h1", service.RequestedPort(network_id=lan[0]["id"]))
    before = len(jobs())
    with cloud.write() as session:
        notify(session, "host_restarted", "h1", {})
    names = [name for name, _ in jobs()[before:]]
    assert names.count("network.network.apply") == 2  # the project's network and the external one
    assert names.count("network.router.apply") == 1 and names.count("network.filter.apply") == 1


def test_dhcp_goes_when_no_subnet_wants_it(cloud: Any, net: Any, lan: Any, hosts: None, caller: Context) -> None:
    attach(cloud, caller, "s1", "h1", service.RequestedPort(network_id=lan[0]["id"]))
    net.call("PUT", f"/subnets/{lan[1]['id']}", {"subnet": {"enable_dhcp": False}})
    with cloud.read() as session:
        job = session.scalars(select(Job).order_by(Job.number.desc())).first()
        section = action(job.action).plan(session, job).hosts["h1"]
    assert section["network_dhcp"]["networks"][0]["state"] == "absent"
    assert section["network_bridge"]["networks"][0]["state"] == "present"  # the guest is still there
    assert [port["device_owner"] for port in net.get("/ports")["ports"]] == ["compute:nova"]


def test_names_that_dns_cannot_hold_stay_out_of_dhcp(
    cloud: Any, net: Any, lan: Any, hosts: None, caller: Context
) -> None:
    net.make("subnet", network_id=lan[0]["id"], ip_version=6, cidr="2001:db8::/64")
    with cloud.write() as session:
        [port] = service.attach_ports(
            session, caller, server_id="s1", host="h1", availability_zone="nova", hostname="{{ x }}\n,set:evil",
            requested=[service.RequestedPort(network_id=lan[0]["id"])], security_groups=[])  # fmt: skip
    with cloud.read() as session:
        [dhcp] = service.plan_attach(session, "h1", [port.id])["h1"]["network_dhcp"]["networks"]
    assert [host["hostname"] for host in dhcp["hosts"]] == ["host-10-0-0-2", "host-2001-db8--2"]
    assert {subnet["ip_version"]: subnet["enable_dhcp"] for subnet in dhcp["subnets"]} == {4: True, 6: True}
    assert dhcp["port"]["addresses"] == ["10.0.0.3/24", "2001:db8::3/64"]
