"""Guests on different hosts of one cloud."""

from __future__ import annotations

from collections.abc import Iterator

import openstack
import pytest

from tests.functional.guests import Guest, Site, unique, wait_for


@pytest.fixture(scope="module")
def pair(site: Site, admin: openstack.connection.Connection) -> Iterator[list[Guest]]:
    """A guest on each of two compute hosts, on one network."""
    apart = site.cloud.compute.create_server_group(name=unique("apart"), policy="anti-affinity")
    guests: list[Guest] = []
    try:
        for _ in range(2):
            guests.append(site.boot("blue", scheduler_hints={"group": apart.id}))
        for guest in guests:
            guest.wait_ssh()
        assert len({admin.compute.get_server(guest.id).hypervisor_hostname for guest in guests}) == 2
        yield guests
    finally:
        for guest in guests:
            site.delete(guest)
        site.cloud.compute.delete_server_group(apart)


def test_guests_on_two_hosts_reach_each_other(pair: list[Guest]) -> None:
    one, other = pair
    one.run(f"ping -c 3 -W 5 {other.address}")
    other.run(f"ping -c 3 -W 5 {one.address}")


def test_each_guest_reads_its_metadata(pair: list[Guest]) -> None:
    for guest in pair:
        assert guest.id in guest.run("wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json")


def test_all_services_and_agents_are_up(admin: openstack.connection.Connection) -> None:
    wait_for("all up", lambda: all(service.state == "up" for service in admin.compute.services()), 60)
    wait_for("all alive", lambda: all(agent.is_alive for agent in admin.network.agents()), 60)


def test_a_removed_rule_is_felt_on_both_hosts(site: Site, pair: list[Guest]) -> None:
    """The ping between hosts ends with the rule that let it in, and comes back with it."""
    one, other = pair
    rules = site.cloud.network.security_group_rules(security_group_id=site.group_id, protocol="icmp")
    rule = next(iter(rules))
    site.cloud.network.delete_security_group_rule(rule)
    command = "ping -c 1 -W 2 {}"
    wait_for("no ping", lambda: one.ssh(command.format(other.address)).returncode == 1, 60)
    wait_for("no ping back", lambda: other.ssh(command.format(one.address)).returncode == 1, 60)
    site.cloud.network.create_security_group_rule(security_group_id=site.group_id, direction="ingress",
                                                  ethertype="IPv4", protocol="icmp")  # fmt: skip
    wait_for("ping", lambda: one.ssh(command.format(other.address)).returncode == 0, 60)
