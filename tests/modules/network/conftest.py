"""A host for the network modules' tests: namespaces of its own for network, mounts and processes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ..hosting import HOST_PYTHON, ModuleServer, run_cold

CLOSE_S = 10

# Waits for its parent's hang-up, so that the kernel removes everything even when the tests are killed. A first process
# that ignores the ends of others has the kernel forget them.
HOST_SCRIPT = """
set -e
mount -t tmpfs tmpfs /run/netns 2>/dev/null || { mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; }
mkdir -p /var/lib/stratiform
mount -t tmpfs -o mode=755 tmpfs /var/lib/stratiform
ip link set lo up
echo ready
exec env --ignore-signal=CHLD cat
"""


class Host:
    """A machine made of namespaces, on which modules run as on a real one."""

    def __init__(self, module_server: ModuleServer) -> None:
        self.module_server = module_server
        self.elapsed_s = 0.0
        self.servers: list[subprocess.Popen[str]] = []
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", HOST_SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "the test host did not start"
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._first_process = int(children[0])
        self._inside = ["nsenter", "--target", children[0], "--net", "--mount", "--pid"]

    def close(self) -> None:
        """End the host with all its processes and devices."""
        assert self._holder.stdin is not None and self._holder.stdout is not None
        first_process = os.pidfd_open(self._first_process)
        try:
            self._holder.kill()
            self._holder.wait()
            # It ends as the last of the host's processes.
            assert select.select([first_process], [], [], CLOSE_S)[0], "the test host did not end"
        finally:
            os.close(first_process)
            self._holder.stdin.close()
            self._holder.stdout.close()
        for server in self.servers:
            server.wait(timeout=CLOSE_S)

    def popen(self, *argv: str, namespace: str | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a command on the host."""
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        return subprocess.Popen([*self._inside, *inside, *argv], text=True, **options)

    def run(
        self,
        *argv: str,
        namespace: str | None = None,
        check: bool = True,
        stdin: str | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, in one of its named namespaces if wished."""
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        done = subprocess.run(
            [*self._inside, *inside, *argv], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check:
            assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
        return done

    def json(self, *argv: str, namespace: str | None = None) -> Any:
        """Run a command that prints JSON."""
        return json.loads(self.run(*argv, namespace=namespace).stdout or "[]")

    def script(
        self, code: str, *arguments: str, namespace: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run Python on the host."""
        return self.run(HOST_PYTHON, "-I", "-c", code, *arguments, namespace=namespace, check=check)

    def killed_module(self, name: str, after_s: float, **arguments: Any) -> bool:
        """Run a module and kill it after a time in its main(); whether it was killed before its end."""
        result = self.module_server.run(name, arguments, inside=self._first_process, killed_after_s=after_s)
        killed = "SIGALRM" in str(result.get("msg"))
        assert killed or not result.get("failed"), result
        return killed

    def module(self, name: str, check: bool = False, diff: bool = True, **arguments: Any) -> dict[str, Any]:
        """Run a module and return its result, which may be a failure; ``elapsed_s`` then has the call's time."""
        begin = time.monotonic()
        result = self.module_server.run(name, arguments, check=check, diff=diff, inside=self._first_process)
        self.elapsed_s = time.monotonic() - begin
        return result

    def module_cold(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The same in a Python of its own."""
        return run_cold(self.module_server.tree, name, arguments, check=False, diff=True, prefix=self._inside)

    def converge(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Predict by check mode, carry out, repeat: the prediction must be the real difference, the repetition none."""
        predicted = self.module(name, check=True, **arguments)
        real = self.module(name, **arguments)
        assert not real.get("failed"), real["msg"]
        assert (predicted["changed"], predicted.get("diff")) == (real["changed"], real.get("diff"))
        again = self.module(name, **arguments)
        assert not again.get("failed"), again["msg"]
        assert again["changed"] is False, again.get("diff")
        return real

    def links(self, namespace: str | None = None) -> dict[str, dict[str, Any]]:
        """The links by name, as ``ip`` describes them."""
        return {link["ifname"]: link for link in self.json("ip", "-j", "-d", "link", namespace=namespace)}

    def read(self, path: str) -> str:
        """A file of the host."""
        return self.run("cat", path).stdout

    def add_guest(
        self, name: str, bridge: str, tap: str, mac: str, addresses: Sequence[str] = (), gateway: str | None = None
    ) -> None:
        """A guest: a namespace whose eth0 ends in a tap of the host's bridge (a veth stands for the guest's tap)."""
        self.run("ip", "netns", "add", name)
        self.run("ip", "link", "add", tap, "type", "veth", "peer", "name", "eth0", "address", mac, "netns", name)
        self.run("ip", "link", "set", tap, "master", bridge, "up")
        self.run("ip", "link", "set", "lo", "up", namespace=name)
        self.run("ip", "link", "set", "eth0", "up", namespace=name)
        for address in addresses:
            nodad = ["nodad"] if ":" in address else []
            self.run("ip", "addr", "add", address, "dev", "eth0", *nodad, namespace=name)
        if gateway:
            self.run("ip", "route", "add", "default", "via", gateway, namespace=name)

    def pings(self, guest: str, address: str, *more: str) -> bool:
        """Whether an address answers a guest's ping within a second."""
        return self.run("ping", "-n", "-c1", "-W1", *more, address, namespace=guest, check=False).returncode == 0

    def hears_nothing(self, guest: str, address: str, *more: str) -> bool:
        """Whether a guest's ping stays without answer; on one machine an answer takes less than a millisecond."""
        ping = ("ping", "-n", "-c1", "-W0.4", *more, address)
        return self.run(*ping, namespace=guest, check=False).returncode == 1


@pytest.fixture
def host(module_server: ModuleServer) -> Iterator[Host]:
    """A fresh host for each test."""
    running = Host(module_server)
    try:
        yield running
    finally:
        running.close()
