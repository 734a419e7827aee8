"""What guests can and cannot reach: names, addresses, security groups, floating IPs, the world outside."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.functional.guests import Guest, Site, wait_for

USER_DATA = "#!/bin/sh\necho executed-$(hostname -s) > /tmp/user-data-proof\n"


@pytest.fixture(scope="module")
def trio(site: Site) -> Iterator[dict[str, Guest]]:
    """Two servers on one network, the third on another one."""
    guests = {
        "first": site.boot("blue", name="first", user_data=base64.b64encode(USER_DATA.encode()).decode(), wait=False),
        "second": site.boot("blue", name="second", config_drive=True, wait=False),
        "third": site.boot("green", name="third", wait=False),
    }
    try:
        for guest in guests.values():
            guest.wait_status("ACTIVE", 90)
            guest.wait_ssh()
        yield guests
    finally:
        for guest in guests.values():
            site.delete(guest)


def test_two_servers_of_one_network_ping_each_other_by_name_and_address(trio: dict[str, Guest]) -> None:
    first, second = trio["first"], trio["second"]
    first.run(f"ping -c 2 -W 2 {second.address}")
    first.run("ping -c 2 -W 2 second")
    second.run("ping -c 2 -W 2 first")


def test_metadata_and_config_drive_say_the_same(trio: dict[str, Guest]) -> None:
    second = trio["second"]
    fetched = second.run("wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json")
    assert json.loads(fetched)["uuid"] == second.id
    drive = second.run(
        "mkdir -p /tmp/drive && mount -t iso9660 -o ro /dev/sr0 /tmp/drive && "
        "cat /tmp/drive/openstack/latest/meta_data.json; umount /tmp/drive"
    )
    told = json.loads(drive)
    assert told.pop("admin_pass"), "the drive, and only it, tells the password, as Nova's does"
    assert told == json.loads(fetched)
    assert second.run("wget -q -O - http://169.254.169.254/latest/meta-data/local-ipv4").strip() == second.address


def test_a_guest_cannot_pose_as_another_at_the_metadata_service(trio: dict[str, Guest]) -> None:
    first, second = trio["first"], trio["second"]
    answer = first.run(
        f"wget -q -O - --header 'X-Forwarded-For: {second.address}' --header 'X-Instance-ID: {second.id}' "
        "http://169.254.169.254/openstack/latest/meta_data.json"
    )
    assert json.loads(answer)["uuid"] == first.id


def test_user_data_was_executed(trio: dict[str, Guest]) -> None:
    first = trio["first"]
    assert wait_for("user data", lambda: first.ssh("cat /tmp/user-data-proof").stdout.strip(), 20) == "executed-first"


def test_a_network_without_a_router_is_apart(site: Site, trio: dict[str, Guest]) -> None:
    """With the router's interface taken away, the third server's network is out of reach of the first."""
    first, third = trio["first"], trio["third"]
    net = site.cloud.network
    subnet_id = next(iter(net.subnets(network_id=site.networks["green"].id))).id
    first.run(f"ping -c 1 -W 3 {third.address}")
    net.update_ip(third.floating, port_id=None)
    net.remove_interface_from_router(site.router_id, subnet=subnet_id)
    try:
        wait_for("isolation", lambda: first.ssh(f"ping -c 1 -W 1 {third.address}").returncode != 0, 15)
        assert first.ssh(f"ping -c 3 -W 1 {third.address}").returncode != 0
    finally:
        net.add_interface_to_router(site.router_id, subnet=subnet_id)
        port = next(iter(net.ports(device_id=third.id)))
        third.floating = net.update_ip(third.floating, port_id=port.id)
    third.wait_ssh(30)


def test_a_security_group_rule_opens_and_closes_a_port(site: Site, trio: dict[str, Guest]) -> None:
    first, second = trio["first"], trio["second"]
    second.run("(while true; do echo hello | nc -l -p 8080; done) >/dev/null 2>&1 </dev/null &")

    def answers() -> bool:
        return "hello" in first.ssh(f"echo | nc -w 2 {second.address} 8080").stdout

    assert not answers()
    rule = site.cloud.network.create_security_group_rule(
        security_group_id=site.group_id, direction="ingress", ethertype="IPv4", protocol="tcp",
        port_range_min=8080, port_range_max=8080,
    )  # fmt: skip
    try:
        wait_for("the port opens", answers, 15)
    finally:
        site.cloud.network.delete_security_group_rule(rule)
    wait_for("the port closes", lambda: not answers(), 15)


def test_a_floating_ip_moves_between_servers(site: Site, trio: dict[str, Guest]) -> None:
    net = site.cloud.network
    first, second = trio["first"], trio["second"]
    moving = net.create_ip(floating_network_id=site.external_id)
    try:
        for guest in (first, second):
            kept, port = guest.floating, next(iter(net.ports(device_id=guest.id)))
            net.update_ip(kept, port_id=None)
            guest.floating = net.update_ip(moving, port_id=port.id)
            wait_for("the address answers", lambda g=guest: g.ssh("hostname -s").stdout.strip() == g.server.name, 30)
            net.update_ip(moving, port_id=None)
            guest.floating = net.update_ip(kept, port_id=port.id)
            guest.wait_ssh(30)
    finally:
        net.delete_ip(moving)


def test_guests_reach_the_outside_through_snat(site: Site, trio: dict[str, Guest]) -> None:
    """A guest without its floating IP connects to the provider network, from the router's address."""
    first = trio["first"]
    net = site.cloud.network
    gateway = next(iter(net.subnets(network_id=site.external_id))).gateway_ip
    info = net.get_router(site.router_id).external_gateway_info
    peers: list[str] = []
    with socket.create_server((gateway, 0)) as listener:
        listener.settimeout(30)

        def accept() -> None:
            connection, peer = listener.accept()
            peers.append(peer[0])
            connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        port, floating = listener.getsockname()[1], first.floating
        first.run(f"(sleep 6; echo | nc -w 3 {gateway} {port}) >/dev/null 2>&1 </dev/null &")
        net.update_ip(floating, port_id=None)
        thread.join(30)
        first.floating = net.update_ip(floating, port_id=next(iter(net.ports(device_id=first.id))).id)
    first.wait_ssh(30)
    assert peers == [info["external_fixed_ips"][0]["ip_address"]]
