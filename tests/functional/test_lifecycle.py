"""A server's life: stop, start, reboots, and what the cloud notices by itself."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.guests import Guest, Site, wait_for


@pytest.fixture(scope="module")
def guest(site: Site) -> Iterator[Guest]:
    with site.guest("blue") as booted:
        booted.wait_ssh()
        yield booted


def qemu_pid(server_id: str) -> int:
    """The process that runs the guest."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argv[0].endswith(b"qemu-system-x86_64") and server_id.encode() in argv:
                return int(entry.name)
    raise AssertionError(f"no QEMU runs {server_id}")


def actions(guest: Guest) -> list[str]:
    return [action.action for action in guest.cloud.compute.server_actions(guest.id)]


def test_the_create_action_lists_the_playbooks_steps(guest: Guest) -> None:
    action = next(a for a in guest.cloud.compute.server_actions(guest.id) if a.action == "create")
    detail = guest.cloud.compute.get_server_action(action.request_id, guest.id)
    assert len(detail.events) >= 3
    assert {event["result"] for event in detail.events} == {"Success"}


def test_stop_and_start(guest: Guest) -> None:
    compute = guest.cloud.compute
    compute.stop_server(guest.id)
    assert guest.wait_status("SHUTOFF").power_state == 4
    compute.start_server(guest.id)
    guest.wait_status("ACTIVE")
    guest.wait_ssh()
    assert {"stop", "start"} <= set(actions(guest))


@pytest.mark.parametrize("kind", ["SOFT", "HARD"])
def test_reboot(guest: Guest, kind: str) -> None:
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = guest.run(boot_id)
    guest.cloud.compute.reboot_server(guest.id, kind)

    def rebooted() -> bool:
        now = guest.ssh(boot_id)
        return now.returncode == 0 and now.stdout != before

    wait_for("the guest boots again", rebooted, 90, 1)
    guest.wait_status("ACTIVE")


def test_a_guest_that_powers_itself_off_is_shutoff(guest: Guest) -> None:
    guest.ssh("poweroff")
    guest.wait_status("SHUTOFF", 25)  # the guest needs some seconds to go down, the cloud at most ten to notice
    guest.cloud.compute.start_server(guest.id)
    guest.wait_status("ACTIVE")


def test_a_killed_qemu_is_shutoff_with_the_reason(guest: Guest) -> None:
    os.kill(qemu_pid(guest.id), signal.SIGKILL)
    guest.wait_status("SHUTOFF", 10)
    newest = next(iter(guest.cloud.compute.server_actions(guest.id)))
    assert newest.action == "stop"
    assert newest.message
    guest.cloud.compute.start_server(guest.id)
    guest.wait_status("ACTIVE")
    guest.wait_ssh()


def test_ports_are_active_and_down_as_their_taps_are(guest: Guest) -> None:
    net = guest.cloud.network
    port = next(iter(net.ports(device_id=guest.id)))
    wait_for("the port is ACTIVE", lambda: net.get_port(port.id).status == "ACTIVE", 15)
    tap = f"tap{port.id[:11]}"
    subprocess.run(["ip", "link", "set", tap, "down"], check=True)
    try:
        wait_for("the port is DOWN", lambda: net.get_port(port.id).status == "DOWN", 15)
    finally:
        subprocess.run(["ip", "link", "set", tap, "up"], check=True)
    wait_for("the port is ACTIVE again", lambda: net.get_port(port.id).status == "ACTIVE", 15)
