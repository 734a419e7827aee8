"""Runs our modules as a host does: with the host's own Python, Ansible's module_utils and nothing else of Ansible.

`pytest tests/modules -n 2 --dist loadgroup` runs them on two processors: each network test has a host of its own, and
the tests that share the machine's libvirt are one group.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .hosting import HOST_PYTHON, ModuleServer, build_host_tree, run_cold

RunModule = Callable[..., dict[str, Any]]

# The programs that the tests and the modules run, and Debian's packages of them.
PROGRAMS = {
    HOST_PYTHON: "python3 python3-libvirt python3-pyroute2",
    "bridge": "iproute2",
    "busybox": "busybox-static",
    "conntrack": "conntrack",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "ping": "iputils-ping",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "radvd": "radvd",
    "sysctl": "procps",
    "virsh": "libvirt-clients",
}


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Fail early and clearly on a machine where these tests cannot run."""
    if os.geteuid() != 0:
        pytest.fail("These tests make namespaces, devices and guests: run them as root.", pytrace=False)
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if missing:
        pytest.fail(f"These tests need more programs: apt-get install {' '.join(missing)}", pytrace=False)


@pytest.fixture(scope="session")
def host_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of /usr/lib/stratiform, in a temporary directory."""
    return build_host_tree(tmp_path_factory.mktemp("host") / "lib")


@pytest.fixture(scope="session")
def module_server(machine: None, host_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleServer]:
    """Has the modules loaded and forks for each call."""
    server = ModuleServer(host_tree, tmp_path_factory.mktemp("module-server"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def run_module(module_server: ModuleServer) -> RunModule:
    """Run a module with arguments and return its result; ``failed`` is in the result, not raised."""
    return module_server.run


@pytest.fixture(scope="session")
def run_module_cold(machine: None, host_tree: Path) -> RunModule:
    """The same with a new Python, as where no resident worker answers."""

    def run(name: str, args: dict[str, Any], check: bool = False, diff: bool = False) -> dict[str, Any]:
        return run_cold(host_tree, name, args, check, diff)

    return run
