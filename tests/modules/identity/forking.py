"""Run by the host's Python with the tree's path: has the identity modules loaded, and forks for each line of input.

A line is ``{"module", "args", "environment"}`` in JSON; the answer is the module's own line of output.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

sys.path.insert(0, sys.argv[1])

from ansible.module_utils import basic  # noqa: E402

MODULES = "ansible_collections.stratiform.cloud.plugins.modules."
NAMES = ("domain", "project", "user", "role", "role_assignment", "service", "endpoint")


def main() -> None:
    """Serve until the input ends."""
    loaded = {f"identity_{name}": importlib.import_module(f"{MODULES}identity_{name}") for name in NAMES}
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(call["environment"])
            basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": call["args"]}).encode()
            basic._ANSIBLE_PROFILE = "legacy"
            loaded[call["module"]].main()
        os.waitpid(child, 0)
        print(flush=True)  # marks the end, also of a module that gave no answer


if __name__ == "__main__":
    main()
