#!/usr/bin/python
"""A module for the engine's tests: notes its start and end in a file, sleeps, reports or fails as it is told."""

from __future__ import annotations

import os
import time

from ansible.module_utils.basic import AnsibleModule


def note(path: str, word: str, name: str) -> None:
    """Append a line to the log that all calls share."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{word} {name} {os.getpid()} {time.time():.4f}\n")


def main() -> None:
    """Do as told."""
    module = AnsibleModule(
        argument_spec={
            "generation": {"type": "int", "required": True},
            "id": {"type": "str", "required": True},
            "log": {"type": "path", "required": True},
            "sleep_s": {"type": "float", "default": 0},
            "text": {"type": "str", "default": ""},
            "message": {"type": "str"},
        },
        supports_check_mode=True,
    )
    told = module.params
    note(told["log"], "begin", told["id"])
    time.sleep(told["sleep_s"])
    note(told["log"], "end", told["id"])
    results = {told["id"]: {"text": told["text"], "generation": told["generation"]}}
    stats = {"data": {"results": results}, "per_host": True, "aggregate": True}
    if told["message"]:
        module.fail_json(msg=told["message"], ansible_stats=stats)
    module.exit_json(changed=True, ansible_stats=stats)


if __name__ == "__main__":
    main()
