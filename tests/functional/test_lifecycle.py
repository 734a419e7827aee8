"""A server's life: stop, start, reboots, and what the cloud notices by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.guests import Guest, Site, wait_for
from tests.functional.processes import pids


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


@contextlib.contextmanager
def restarted_host(server_id: str, folder: Path) -> Iterator[None]:
    """What a power failure leaves: another boot id, and neither a guest's process nor the worker of before."""
    boot_id = folder / "boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    subprocess.run(["mount", "--bind", str(boot_id), "/proc/sys/kernel/random/boot_id"], check=True)
    try:
        for pid in [*pids("worker"), qemu_pid(server_id)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        yield
    finally:
        subprocess.run(["umount", "/proc/sys/kernel/random/boot_id"], check=True)


def test_after_the_hosts_restart_its_servers_return_as_configured(site: Site, guest: Guest, tmp_path: Path) -> None:
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    with site.guest("blue", floating=False) as stopped:
        guest.cloud.compute.stop_server(stopped.id)
        stopped.wait_status("SHUTOFF")
        before = guest.run(boot_id)

        def returned() -> bool:
            now = guest.ssh(boot_id)
            return now.returncode == 0 and now.stdout != before

        with restarted_host(guest.id, tmp_path):
            wait_for("the server returns", returned, 120, 1)
        guest.wait_status("ACTIVE")
        assert stopped.show().status == "SHUTOFF"
