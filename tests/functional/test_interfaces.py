"""Interfaces plugged into a running guest and taken out, as the guest sees it."""

from __future__ import annotations

from tests.functional.guests import Guest, Site, wait_for


def interfaces(guest: Guest) -> set[str]:
    """The MAC addresses that the guest has."""
    return set(guest.run("cat /sys/class/net/*/address").split()) - {"00:00:00:00:00:00"}


def test_an_interface_comes_and_goes_in_a_running_guest(site: Site) -> None:
    compute = site.cloud.compute
    with site.guest("blue") as guest:
        guest.wait_ssh()
        before = interfaces(guest)
        made = compute.create_server_interface(guest.id, net_id=site.networks["green"].id)
        port = site.cloud.network.get_port(made.port_id)
        wait_for("the interface in the guest", lambda: port.mac_address in interfaces(guest), 60, 1)
        wait_for("its port", lambda: site.cloud.network.get_port(port.id).status == "ACTIVE", 60, 1)
        assert interfaces(guest) == before | {port.mac_address}
        assert set(guest.show().addresses) == {site.networks["blue"].name, site.networks["green"].name}
        compute.delete_server_interface(port.id, server=guest.id)
        wait_for("the interface's end in the guest", lambda: interfaces(guest) == before, 60, 1)
        assert site.cloud.network.find_port(port.id) is None
        guest.run("true")
