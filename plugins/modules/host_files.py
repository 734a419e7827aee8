#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Many files and folders of a host in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_files
short_description: Many files and folders of a host in one call
version_added: "0.1.0"
description:
  - Gives each entry its content, owner and mode. Folders need no order; files are replaced in one step.
  - One call costs what one task costs, so a role keeps all its files in one list.
author:
  - Contributors to Stratiform
attributes:
  check_mode:
    support: full
    description: Finds the same differences.
  diff_mode:
    support: full
    description: Shows contents, except of files with O(entries[].secret).
options:
  entries:
    description: The files and folders.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The full path.
        type: path
        required: true
      state:
        description: What it is. V(absent) removes a file, or a folder with all that is in it.
        type: str
        choices: [directory, file, absent]
        default: file
      content:
        description: The content of a file. Without it only owner and mode are set, and a missing file is made empty.
        type: str
      keep:
        description: >-
          A path to keep the former content at, once, when it was not ours. Given back when O(entries[].state=absent).
        type: path
      owner:
        description: The owner.
        type: str
        default: root
      group:
        description: The group.
        type: str
        default: root
      mode:
        description: The mode, in octal.
        type: str
      secret:
        description: Whether differences are hidden.
        type: bool
        default: false
"""

EXAMPLES = r"""
- name: Write the configuration
  stratiform.cloud.host_files:
    entries:
      - {path: /etc/stratiform, state: directory, mode: "0755"}
      - {path: /etc/stratiform/stratiform.toml, content: "{{ lookup('ansible.builtin.template', 'stratiform.toml.j2')
        }}", mode: "0640"}
"""

RETURN = r"""
paths:
  description: The entries that changed.
  type: list
  elements: str
  returned: always
"""

import contextlib
import grp
import os
import pwd
import shutil
import stat
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule


def content_of(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, IsADirectoryError):
        return None


def ids(module: AnsibleModule, entry: dict[str, Any]) -> tuple[int, int]:
    try:
        return pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid
    except KeyError:
        if module.check_mode:  # the user is made earlier in the same deployment
            return -1, -1
        module.fail_json(
            msg=f"{entry['path']}: there is no user {entry['owner']} or no group {entry['group']} on this host."
        )


def write(path: str, content: str, owner: tuple[int, int], mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".stratiform.", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(content)
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def rights_differ(path: str, owner: tuple[int, int], mode: int) -> bool:
    found = os.stat(path)
    return (found.st_uid, found.st_gid) != owner or stat.S_IMODE(found.st_mode) != mode


def remove(module: AnsibleModule, entry: dict[str, Any]) -> bool:
    path, kept = entry["path"], entry["keep"]
    give_back = bool(kept) and os.path.exists(kept)
    if not os.path.lexists(path) and not give_back:
        return False
    if kept and not give_back:  # it was never ours
        return False
    if not module.check_mode:
        if give_back:
            os.replace(kept, path)
        elif os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    return True


def converge(module: AnsibleModule, entry: dict[str, Any]) -> bool:
    """Bring one entry to its state; whether that was a change."""
    path, state = entry["path"], entry["state"]
    if state == "absent":
        return remove(module, entry)
    owner = ids(module, entry)
    if state == "directory":
        mode = int(entry["mode"] or "0755", 8)
        if os.path.isdir(path) and not rights_differ(path, owner, mode):
            return False
        if not module.check_mode:
            os.makedirs(path, exist_ok=True)
            os.chown(path, *owner)
            os.chmod(path, mode)
        return True
    mode = int(entry["mode"] or "0644", 8)
    before = content_of(path)
    wanted = entry["content"] if entry["content"] is not None else (before or "")
    if before == wanted and not rights_differ(path, owner, mode):
        return False
    if not module.check_mode:
        if entry["keep"] and before is not None and before != wanted and not os.path.exists(entry["keep"]):
            shutil.copy2(path, entry["keep"])
        write(path, wanted, owner, mode)
    return True


def main() -> None:
    entry_options = {
        "path": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["directory", "file", "absent"], "default": "file"},
        "content": {"type": "str", "no_log": False},
        "keep": {"type": "path"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str"},
        "secret": {"type": "bool", "default": False, "no_log": False},
    }
    module = AnsibleModule(
        argument_spec={"entries": {"type": "list", "elements": "dict", "required": True, "options": entry_options}},
        supports_check_mode=True,
    )
    changed: list[str] = []
    differences: list[dict[str, str]] = []
    for entry in module.params["entries"]:
        before = content_of(entry["path"]) or ""
        try:
            if not converge(module, entry):
                continue
        except OSError as error:
            module.fail_json(msg=f"{entry['path']}: {error.strerror}.", paths=changed)
        changed.append(entry["path"])
        if entry["state"] == "file" and not entry["secret"]:
            differences.append(
                {
                    "before_header": entry["path"],
                    "after_header": entry["path"],
                    "before": before,
                    "after": entry["content"] or before,
                }
            )
    result: dict[str, Any] = {"changed": bool(changed), "paths": changed}
    if module._diff:
        result["diff"] = differences
    module.exit_json(**result)


if __name__ == "__main__":
    main()
