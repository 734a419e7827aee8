"""Trial guests on the machine's own libvirt, and the resident worker as a process."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..hosting import WorkerProcess

WORKER = "ansible_collections/stratiform/cloud/plugins/worker"


def virsh(*words: str) -> subprocess.CompletedProcess[str]:
    """Run virsh on the machine's libvirt."""
    return subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="session")
def libvirt_runs(machine: None) -> None:
    """Fail early and clearly when there is no libvirt to test with."""
    done = virsh("version")
    if done.returncode:
        start = "ansible-playbook playbooks/prepare_tests.yml"
        pytest.fail(f"These tests need a running libvirtd ({start}): {done.stderr.strip()}", pytrace=False)


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
    assert virsh("dominfo", server_id).returncode == 1, "the guest is still there"


@pytest.fixture
def tap(libvirt_runs: None) -> Iterator[str]:
    """A tap that stays without a process, as network_bridge makes them."""
    name = f"tap{uuid.uuid4().hex[:10]}"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", "vnet_hdr"], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", name], check=False)


@pytest.fixture(scope="session")
def worker(machine: None, host_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A resident worker of this test run."""
    running = WorkerProcess(tmp_path_factory.mktemp("worker"), str(host_tree / WORKER / "resident.py"))
    yield running
    running.close()
