"""The unmodified official client, as a new user types it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def openstack(*words: str, cloud: str = "stratiform") -> Any:
    """What `openstack ... -f json` prints, parsed."""
    program = shutil.which("openstack", path=str(Path(sys.executable).parent)) or "openstack"
    done = subprocess.run([program, "--os-cloud", cloud, *words, "-f", "json"],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("words", [
    ("server", "list"), ("image", "list"), ("flavor", "list"), ("network", "list"), ("subnet", "list"),
    ("router", "list"), ("port", "list"), ("security", "group", "list"), ("floating", "ip", "list"),
    ("keypair", "list"), ("availability", "zone", "list"), ("catalog", "list"), ("extension", "list", "--network"),
    ("limits", "show", "--absolute"), ("quota", "show"),
])  # fmt: skip
def test_a_member_lists(words: tuple[str, ...]) -> None:
    assert isinstance(openstack(*words), list | dict)


@pytest.mark.parametrize("words", [
    ("project", "list"), ("user", "list"), ("role", "list"), ("role", "assignment", "list", "--names"),
    ("service", "list"), ("endpoint", "list"), ("region", "list"), ("domain", "list"),
    ("hypervisor", "list"), ("compute", "service", "list"), ("network", "agent", "list"),
    ("server", "list", "--all-projects"),
])  # fmt: skip
def test_an_operator_lists(words: tuple[str, ...]) -> None:
    assert isinstance(openstack(*words, cloud="stratiform-admin"), list)


def test_services_and_agents_are_up() -> None:
    assert {row["State"] for row in openstack("compute", "service", "list", cloud="stratiform-admin")} == {"up"}
    assert all(row["Alive"] for row in openstack("network", "agent", "list", cloud="stratiform-admin"))


def test_a_projects_life() -> None:
    name = "ft-client-project"
    made = openstack("project", "create", name, "--description", "{{ 7 * 7 }}", cloud="stratiform-admin")
    try:
        assert openstack("project", "show", name, cloud="stratiform-admin")["description"] == "{{ 7 * 7 }}"
    finally:
        program = shutil.which("openstack", path=str(Path(sys.executable).parent)) or "openstack"
        subprocess.run([program, "--os-cloud", "stratiform-admin", "project", "delete", made["id"]], check=True)
