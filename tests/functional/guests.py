"""Guests as a tenant has them: booted by the API, reached by SSH through a floating IP."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openstack

USER = "root"
BOOT_TIMEOUT_S = 120


def wait_for(what: str, check: Callable[[], Any], timeout_s: float, interval_s: float = 0.5) -> Any:
    """Returns the first true value of `check`; fails naming `what` and the last value."""
    end = time.monotonic() + timeout_s
    while True:
        if value := check():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout_s} s (last: {value!r})")
        time.sleep(interval_s)


def unique(kind: str) -> str:
    """A name for a test's resource."""
    return f"ft-{kind}-{secrets.token_hex(3)}"


@dataclass
class Guest:
    """A server with a way in."""

    cloud: openstack.connection.Connection
    server: Any
    address: str
    floating: Any
    key: Path

    @property
    def id(self) -> str:
        return str(self.server.id)

    def show(self) -> Any:
        """The server as the API shows it now."""
        return self.cloud.compute.get_server(self.id)

    def ssh(self, command: str, timeout_s: float = 20) -> subprocess.CompletedProcess[str]:
        """Runs a command in the guest through its floating IP."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=5",
                   "BatchMode=yes", "IdentitiesOnly=yes")  # fmt: skip
        argv = ["ssh", "-i", str(self.key), *(word for option in options for word in ("-o", option))]
        argv += [f"{USER}@{self.floating.floating_ip_address}", command]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 255, "", "timed out")

    def run(self, command: str) -> str:
        """The command's output; the test fails when it does."""
        done = self.ssh(command)
        assert done.returncode == 0, f"{command!r} in {self.server.name}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout

    def wait_ssh(self, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Waits until the guest answers over SSH."""
        try:
            wait_for(f"SSH to {self.server.name}", lambda: self.ssh("true").returncode == 0, timeout_s, 1)
        except AssertionError as error:
            console = self.cloud.compute.get_server_console_output(self.id, length=40)["output"]
            raise AssertionError(f"{error}\n{console}") from None

    def wait_status(self, status: str, timeout_s: float = 180) -> Any:
        """Waits for a status and returns the server; fails at once when the server goes to ERROR instead."""

        def look() -> Any:
            server = self.show()
            assert status == "ERROR" or server.status != "ERROR", f"{server.name}: {server.fault}"
            return server if server.status == status else None

        return wait_for(f"{self.server.name} {status}", look, timeout_s)


@dataclass
class Site:
    """What the tests of one module share: networks behind a router, a key, a security group that lets SSH in."""

    cloud: openstack.connection.Connection
    image_id: str
    flavor_id: str
    key_name: str
    key: Path
    group_id: str
    router_id: str
    external_id: str
    networks: dict[str, Any]

    @contextlib.contextmanager
    def guest(self, network: str, **options: Any) -> Iterator[Guest]:
        """A server with a floating IP, deleted afterwards."""
        guest = self.boot(network, **options)
        try:
            yield guest
        finally:
            self.delete(guest)

    def boot(self, network: str, *, floating: bool = True, wait: bool = True, **options: Any) -> Guest:
        """Boots a server on one of the site's networks."""
        net = self.cloud.network
        wanted = {
            "name": unique("server"), "image_id": self.image_id, "flavor_id": self.flavor_id,
            "key_name": self.key_name, "networks": [{"uuid": self.networks[network].id}],
            "security_groups": [{"name": self.group_id}],
        }  # fmt: skip
        server = self.cloud.compute.create_server(**(wanted | options))
        port = wait_for("the server's port", lambda: next(iter(net.ports(device_id=server.id)), None), 10)
        ip = net.create_ip(floating_network_id=self.external_id, port_id=port.id) if floating else None
        guest = Guest(self.cloud, server, port.fixed_ips[0]["ip_address"], ip, self.key)
        guest.server = guest.show()
        if wait:
            guest.wait_status("ACTIVE")
        return guest

    def delete(self, guest: Guest) -> None:
        """Deletes the server and its floating IP, and waits until both are gone."""
        if guest.floating is not None:
            self.cloud.network.delete_ip(guest.floating, ignore_missing=True)
        delete_server(self.cloud, guest.id)


def delete_server(cloud: openstack.connection.Connection, server_id: str) -> None:
    """Deletes a server and waits until it is gone."""
    cloud.compute.delete_server(server_id, ignore_missing=True)
    wait_for("the server's end", lambda: cloud.compute.find_server(server_id) is None, 60)
