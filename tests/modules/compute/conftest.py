"""Trial guests on the machine's own libvirt, and the resident worker as a process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")
WORKER = "ansible_collections/stratiform/cloud/plugins/worker"


def virsh(*words: str) -> subprocess.CompletedProcess[str]:
    """Run virsh on the machine's libvirt."""
    return subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="session")
def libvirt_runs() -> None:
    """Fail early and clearly when there is no libvirt to test with."""
    done = virsh("version")
    assert done.returncode == 0, f"start libvirtd first (docs: test bed): {done.stderr}"


@pytest.fixture
def guest(libvirt_runs: None, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The arguments of a guest that sits in its BIOS, with no disk; removed afterwards."""
    server_id = str(uuid.uuid4())
    yield {
        "id": server_id,
        "name": f"trial-{server_id[:8]}",
        "title": "{{ lookup('pipe', 'id') }}\n<domain> & \x07é",
        "vcpus": 1,
        "memory_mb": 32,
        "console_log": str(tmp_path / "console.log"),
        "metadata": {"project_id": "<x>&\x00'\"", "flavor_name": "m1.tiny"},
        "virt_type": "qemu",
        "power_state": "running",
    }
    virsh("destroy", server_id)
    virsh("undefine", server_id)


class Worker:
    """A running resident worker and a client of it."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.socket_path = folder / "worker.sock"
        self.log = folder / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [HOST_PYTHON, "-I", str(tree / WORKER / "resident.py"), "--socket", str(self.socket_path)], stderr=log
            )
        deadline = time.monotonic() + 20
        while not self.socket_path.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def connect(self) -> socket.socket:
        """A new connection."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        client.connect(str(self.socket_path))
        return client

    def call(self, **request: Any) -> dict[str, Any]:
        """One request and its answer."""
        with self.connect() as client:
            client.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(client.makefile("rb").readline())
            return answer


@pytest.fixture(scope="session")
def worker(host_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A resident worker of this test run."""
    running = Worker(host_tree, tmp_path_factory.mktemp("worker"))
    yield running
    running.process.terminate()
    running.process.wait(20)


RunModule = Callable[..., dict[str, Any]]
