#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Bring folders of code to a host as one tree with a version."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: code_tree
short_description: Bring folders of code to a host as one tree
version_added: "0.1.0"
description:
  - The controller hashes the sources. Only when the host's tree has another hash, all files travel as one archive and
    the tree is swapped as a whole, so
    that no process ever reads a mixture and no file of a former version stays.
author:
  - Contributors to Stratiform
attributes:
  check_mode:
    support: full
    description: Tells whether the tree would be replaced.
  diff_mode:
    support: full
    description: Shows both versions.
options:
  dest:
    description: The tree on the host. Belongs to root and to this module alone.
    type: path
    required: true
  trees:
    description:
      - What the tree holds. Each entry has C(to) (a name below O(dest)) and either C(from) (a folder or file on the
        controller) or C(text).
    type: list
    elements: dict
  version:
    description: The hash. Set by the action plugin.
    type: str
  archive:
    description: The archive on the host. Set by the action plugin.
    type: path
"""

EXAMPLES = r"""
- name: Bring the resident worker
  stratiform.cloud.code_tree:
    dest: /usr/lib/stratiform
    trees:
      - {from: "{{ playbook_dir }}/../plugins", to: ansible_collections/stratiform/cloud/plugins}
      - {text: "", to: ansible/__init__.py}
"""

RETURN = r"""
version:
  description: The hash of the tree.
  type: str
  returned: always
"""

import os
import shutil
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule

STAMP = ".stratiform-version"


def current_version(dest: str) -> str:
    try:
        with open(os.path.join(dest, STAMP), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def replace(dest: str, archive: str, version: str) -> None:
    """Unpack beside the tree and swap; the former tree goes after the swap."""
    parent = os.path.dirname(dest)
    os.makedirs(parent, mode=0o755, exist_ok=True)
    fresh = tempfile.mkdtemp(prefix=f".{os.path.basename(dest)}.", dir=parent)
    try:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):  # Debian 12's Python may be older than the filters
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(fresh)
        os.chmod(fresh, 0o755)
        with open(os.path.join(fresh, STAMP), "w", encoding="ascii") as file:
            file.write(version + "\n")
        former = f"{fresh}.former"
        if os.path.lexists(dest):
            os.rename(dest, former)
        os.rename(fresh, dest)
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "dest": {"type": "path", "required": True},
            "trees": {"type": "list", "elements": "dict"},
            "version": {"type": "str"},
            "archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    dest, version, archive = module.params["dest"].rstrip("/"), module.params["version"], module.params["archive"]
    if not version:
        module.fail_json(msg="code_tree has no version: it works through its action plugin alone.")
    before = current_version(dest)
    if archive and not module.check_mode and before != version:
        replace(dest, archive, version)
    result: dict[str, object] = {"changed": before != version, "version": version}
    if module._diff:
        result["diff"] = {"before": before + "\n", "after": version + "\n"}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
