"""Ways to run our modules on the host's own Python, with Ansible's module_utils and nothing else of Ansible.

The tests' usual way is a resident worker that has the modules loaded and forks for each call; the cold way, a new
Python for each call, takes ten times as long.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ansible.module_utils

HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")
REPO = Path(__file__).resolve().parents[2]
MODULE_SERVER = Path(__file__).with_name("module_server.py")
CALL_TIMEOUT_S = 300
START_TIMEOUT_S = 30

RUN_ONE = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
importlib.import_module("ansible_collections.stratiform.cloud.plugins.modules." + sys.argv[2]).main()
"""


def build_host_tree(root: Path) -> Path:
    """Lay out what the deploy role puts in /usr/lib/stratiform: Ansible's module_utils beside our plugins."""
    (root / "ansible").mkdir(parents=True)
    (root / "ansible" / "__init__.py").touch()
    (root / "ansible" / "module_utils").symlink_to(Path(ansible.module_utils.__file__).parent)
    collection = root / "ansible_collections" / "stratiform" / "cloud"
    collection.mkdir(parents=True)
    (collection / "plugins").symlink_to(REPO / "plugins")
    return root


def run_cold(
    tree: Path, name: str, arguments: dict[str, Any], check: bool, diff: bool, prefix: Sequence[str] = ()
) -> dict[str, Any]:
    """Run a module in a Python of its own, by a command that runs commands elsewhere if wished."""
    parameters = {
        **arguments,
        "_ansible_check_mode": check,
        "_ansible_diff": diff,
        "_ansible_module_name": name,
        "_ansible_no_log": True,
        "_ansible_remote_tmp": "/tmp",
    }
    done = subprocess.run(
        [*prefix, HOST_PYTHON, "-I", "-c", RUN_ONE, str(tree), name],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}).encode(),
        capture_output=True,
        timeout=CALL_TIMEOUT_S,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
    assert lines, f"{name} gave no result (exit {done.returncode}): {done.stderr.decode(errors='replace')}"
    result: dict[str, Any] = json.loads(lines[-1])
    return result


class WorkerProcess:
    """A running resident worker and a client of it."""

    def __init__(self, folder: Path, *script: str) -> None:
        self.socket_path = folder / "worker.sock"
        self.log = folder / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([HOST_PYTHON, "-I", *script, "--socket", str(self.socket_path)], stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.socket_path.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def close(self) -> None:
        """End the worker as a service manager does."""
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log.read_text()

    def connect(self, timeout_s: float = 60) -> socket.socket:
        """A new connection."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(timeout_s)
        client.connect(str(self.socket_path))
        return client

    def call(self, **request: Any) -> dict[str, Any]:
        """One request and its answer."""
        with self.connect() as client:
            return ask(client, request)


class ModuleServer(WorkerProcess):
    """A resident worker that runs each call on the test's host."""

    def __init__(self, tree: Path, folder: Path) -> None:
        super().__init__(folder, str(MODULE_SERVER), str(tree))
        self.tree = tree

    def run(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        check: bool = False,
        diff: bool = False,
        inside: int | None = None,
        killed_after_s: float | None = None,
    ) -> dict[str, Any]:
        """Run a module, in the namespaces of the process ``inside``, and return its result; a crash is an error."""
        place = {"inside": inside, "killed_after_s": killed_after_s}
        request = {"op": "run", "module": name, "args": arguments, "check_mode": check, "diff": diff}
        with self.connect(CALL_TIMEOUT_S) as client:
            client.sendall(json.dumps(place).encode() + b"\n")
            result = ask(client, request)
        if killed_after_s is None:
            # The worker makes results of a module's uncaught error and of its sudden end.
            crashed = result.get("failed") and str(result.get("msg")).startswith(f"Module {name} ")
            assert not crashed, f"{result}\n{self.log.read_text()}"
        assert not result.get("unknown_module"), result
        return result


def ask(client: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request and read its answer."""
    client.sendall(json.dumps(request).encode() + b"\n")
    with client.makefile("rb") as lines:
        line = lines.readline()
    assert line, "the worker hung up"
    answer: dict[str, Any] = json.loads(line)
    return answer
