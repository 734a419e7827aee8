"""The modules' documentation says what their argument specifications say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import HOST_PYTHON

MODULES = ["network_bridge", "network_dhcp", "network_router", "security_group"]
FIELDS = ("type", "elements", "default", "choices")
READ = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
module = importlib.import_module("ansible_collections.stratiform.cloud.plugins.modules." + sys.argv[2])
print(json.dumps([module.ARGUMENTS, module.DOCUMENTATION, module.EXAMPLES, module.RETURN]))
"""


def differences(documented: dict[str, Any], specified: dict[str, Any], path: str) -> list[str]:
    """Where the two disagree."""
    found = [f"{path}.{name} is in one of them only" for name in set(documented) ^ set(specified)]
    for name in set(documented) & set(specified):
        told, real = documented[name], specified[name]
        found += [f"{path}.{name}: {field}" for field in FIELDS if told.get(field) != real.get(field)]
        if bool(told.get("required")) != bool(real.get("required")):
            found.append(f"{path}.{name}: required")
        found += differences(told.get("suboptions") or {}, real.get("options") or {}, f"{path}.{name}")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_documentation_matches(host_tree: Path, name: str) -> None:
    done = subprocess.run(
        [HOST_PYTHON, "-I", "-c", READ, str(host_tree), name], capture_output=True, check=True, text=True
    )
    arguments, documentation, examples, returned = json.loads(done.stdout)
    # The generation is documented in the fragment that the modules share.
    assert arguments.pop("generation") == {"type": "int"}
    assert differences(yaml.safe_load(documentation)["options"], arguments, name) == []
    known = set(arguments) | {"generation"}
    for task in yaml.safe_load(examples):
        assert set(task[f"stratiform.cloud.{name}"]) <= known
    assert {"ansible_stats", "failed_resources", "stale", "stale_ids"} <= set(yaml.safe_load(returned))
