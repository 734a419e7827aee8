"""Runs our modules as a host does: with the host's own Python, Ansible's module_utils and nothing else of Ansible."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest

HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")
REPO = Path(__file__).resolve().parents[2]

RUN_ONE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
importlib.import_module("ansible_collections.stratiform.cloud.plugins.modules." + sys.argv[2]).main()
"""

RunModule = Callable[..., dict[str, Any]]


def build_host_tree(root: Path) -> Path:
    """Lay out what the deploy role puts in /usr/lib/stratiform: Ansible's module_utils beside our plugins."""
    (root / "ansible").mkdir(parents=True)
    (root / "ansible" / "__init__.py").touch()
    (root / "ansible" / "module_utils").symlink_to(Path(ansible.module_utils.__file__).parent)
    collection = root / "ansible_collections" / "stratiform" / "cloud"
    collection.mkdir(parents=True)
    (collection / "plugins").symlink_to(REPO / "plugins")
    return root


@pytest.fixture(scope="session")
def host_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of /usr/lib/stratiform, in a temporary directory."""
    return build_host_tree(tmp_path_factory.mktemp("host") / "lib")


@pytest.fixture(scope="session")
def run_module(host_tree: Path) -> RunModule:
    """Run a module with arguments and return its result; ``failed`` is in the result, not raised."""

    def run(name: str, args: dict[str, Any], check: bool = False, diff: bool = False) -> dict[str, Any]:
        parameters = {
            **args,
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_module_name": name,
            "_ansible_no_log": True,
            "_ansible_remote_tmp": "/tmp",
        }
        done = subprocess.run(
            [HOST_PYTHON, "-I", "-c", RUN_ONE, str(host_tree), name],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": parameters}).encode(),
            capture_output=True,
            timeout=300,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
        assert lines, f"{name} gave no result (exit {done.returncode}): {done.stderr.decode(errors='replace')}"
        result: dict[str, Any] = json.loads(lines[-1])
        return result

    return run
