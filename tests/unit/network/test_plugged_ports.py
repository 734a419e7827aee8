"""Ports that are on hosts: what tenants write on them, their status, their DHCP options, their end."""

from __future__ import annotations

from typing import Any

from api.http.context import Context
from api.network import plan, service
from api.network.models import Port

from .conftest import Net, plug


def test_tenants_writing_on_ports_take_no_part_in_servers(cloud: Any, net: Net, caller: Context, lan: Any,
                                                          hosts: None) -> None:  # fmt: skip
    """`device_id` and `device_owner` are words of the tenant: they neither join a server nor leave the filter."""
    forged = net.make("port", network_id=lan[0]["id"], device_id="s1", device_owner="compute:nova")
    port = plug(cloud, caller, lan[0])
    with cloud.read() as session:
        assert [one.id for one in service.server_ports(session, ["s1"])["s1"]] == [port.id]
        address = forged["fixed_ips"][0]["ip_address"]
        assert service.port_at(session, network_id=lan[0]["id"], router_id=None, address=address) is None
    net.call("PUT", f"/ports/{port.id}", {"port": {"device_owner": "mine", "device_id": "x"}})
    with cloud.read() as session:
        assert [one["id"] for one in plan.filter_section(session, "h1")["ports"]] == [port.id]
    for owner in ("network:dhcp", "network:floatingip"):
        assert net.call("PUT", f"/ports/{port.id}", {"port": {"device_owner": owner}}, 400)


def test_a_deleted_port_leaves_its_host(cloud: Any, net: Net, caller: Context, lan: Any, hosts: None,
                                        jobs: Any) -> None:  # fmt: skip
    port = plug(cloud, caller, lan[0])
    net.call("PUT", f"/ports/{port.id}", {"port": {"device_owner": ""}})
    net.call("DELETE", f"/ports/{port.id}", status=204)
    [gone] = [one for _, args in jobs() for one in args.get("gone_ports", ())]
    assert (gone["tap"], gone["state"]) == (port.tap, "absent"), "an unfiltered tap must not stay behind"


def test_a_port_that_is_down_stays_down_until_it_may_be_up(cloud: Any, net: Net, caller: Context, lan: Any,
                                                           hosts: None) -> None:  # fmt: skip
    port = plug(cloud, caller, lan[0])
    path = f"/ports/{port.id}"

    def status(**values: Any) -> str:
        return str((net.call("PUT", path, {"port": values}) if values else net.get(path))["port"]["status"])

    def told(up: bool) -> None:
        with cloud.write() as session:
            session.get_one(Port, port.id).show_link(up)

    told(True)
    assert status() == "ACTIVE"
    assert status(admin_state_up=False) == "DOWN"
    told(True)
    assert status() == "DOWN"
    assert status(admin_state_up=True) == "ACTIVE"
    told(False)
    assert status() == "DOWN"


def test_extra_dhcp_options(cloud: Any, net: Net, caller: Context, lan: Any, hosts: None) -> None:
    options = [{"opt_name": "bootfile-name", "opt_value": "pxelinux.0"}, {"opt_name": "67", "opt_value": "x"}]
    port = net.make("port", network_id=lan[0]["id"], extra_dhcp_opts=options)
    assert port["extra_dhcp_opts"] == [one | {"ip_version": 4} for one in options]
    path, six = f"/ports/{port['id']}", {"opt_name": "bootfile-url", "opt_value": "tftp://x", "ip_version": 6}
    wanted = [{"opt_name": "67", "opt_value": None}, six]
    changed = net.call("PUT", path, {"port": {"extra_dhcp_opts": wanted}})["port"]
    assert changed["extra_dhcp_opts"] == [options[0] | {"ip_version": 4}, six]
    for bad in ({"opt_name": "no-such", "opt_value": "x"}, {"opt_name": "53", "opt_value": "1"}, {"opt_name": "mtu"},
                {"opt_name": "bootfile-name", "opt_value": "x\nuser=root"}, {"opt_name": "mtu", "opt_value": ""}):
        status = 200 if "opt_value" not in bad else 400
        net.call("PUT", path, {"port": {"extra_dhcp_opts": [bad]}}, status)
