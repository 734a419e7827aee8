"""A host for the network modules' tests: namespaces of its own for network, mounts and processes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")

# Waits for its parent's hang-up, so that the kernel removes everything even when the tests are killed.
HOST_SCRIPT = """
set -e
mount -t tmpfs tmpfs /run/netns 2>/dev/null || { mkdir -p /run/netns; mount -t tmpfs tmpfs /run/netns; }
mkdir -p /var/lib/stratiform
mount -t tmpfs -o mode=755 tmpfs /var/lib/stratiform
ip link set lo up
echo ready
read -r _line || true
"""

MODULE_SCRIPT = """
import importlib, signal, sys, time
sys.path.insert(0, sys.argv[1])
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
module = importlib.import_module("ansible_collections.stratiform.cloud.plugins.modules." + sys.argv[2])
begin = time.monotonic()
# Without a handler the alarm ends the process at once, as SIGKILL does.
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[3]))
try:
    module.main()
finally:
    print("elapsed %.4f" % (time.monotonic() - begin), file=sys.stderr)
"""


class Host:
    """A machine made of namespaces, on which modules run as on a real one."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
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
        self._inside = ["nsenter", "--target", children[0], "--net", "--mount", "--pid"]

    def close(self) -> None:
        """End the host with all its processes and devices."""
        assert self._holder.stdin is not None
        self._holder.kill()
        self._holder.wait()
        for server in self.servers:
            server.wait(timeout=10)
        self._holder.stdin.close()
        assert self._holder.stdout is not None
        self._holder.stdout.close()

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

    def killed_module(self, name: str, after_s: float, **arguments: Any) -> None:
        """Run a module and kill it after a time in its main()."""
        self._module(name, arguments, after_s)

    def module(self, name: str, check: bool = False, diff: bool = True, **arguments: Any) -> dict[str, Any]:
        """Run a module and return its result, which may be a failure; ``elapsed_s`` then has the time in its main()."""
        internal = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_module_name": name}
        done = self._module(name, {**arguments, **internal}, 0)
        results = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert results, f"{name} gave no result (exit {done.returncode}): {done.stdout}{done.stderr}"
        self.elapsed_s = float(done.stderr.rsplit("elapsed ", 1)[1].split()[0])
        result: dict[str, Any] = json.loads(results[-1])
        return result

    def _module(self, name: str, arguments: dict[str, Any], killed_after_s: float) -> subprocess.CompletedProcess[str]:
        code = (HOST_PYTHON, "-I", "-c", MODULE_SCRIPT, str(self.tree), name, str(killed_after_s))
        return self.run(*code, check=False, stdin=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))

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


@pytest.fixture
def host(host_tree: Path) -> Iterator[Host]:
    """A fresh host for each test."""
    assert os.geteuid() == 0, "the network modules' tests need root: run them with sudo"
    machine = Host(host_tree)
    try:
        yield machine
    finally:
        machine.close()
