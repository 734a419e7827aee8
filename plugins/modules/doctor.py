#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""What a host lacks to be part of the cloud, in one list."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: doctor
short_description: What a host lacks to be part of the cloud
version_added: "0.1.0"
description:
  - Looks at the host and changes nothing. Everything that C(site.yml) cannot repair itself is a problem; what makes
    the cloud slower or smaller is a note.
author:
  - Contributors to Stratiform
attributes:
  check_mode:
    support: full
    description: It changes nothing anyway.
  diff_mode:
    support: none
    description: There is nothing to differ.
options:
  groups:
    description: The host's inventory groups.
    type: list
    elements: str
    required: true
  controller_time:
    description: The controller's time, in seconds since 1970.
    type: float
    required: true
  ports:
    description: TCP ports that the cloud listens on here.
    type: list
    elements: int
    default: []
  ranges:
    description: Address ranges that belong to the cloud.
    type: list
    elements: str
    default: []
  bridges:
    description: Our own bridges, whose addresses do not conflict.
    type: list
    elements: str
    default: []
  names:
    description: Names that must be resolvable.
    type: list
    elements: str
    default: []
  min_disk_gb:
    description: Free disk that is wanted in C(/var/lib), in GiB.
    type: int
    default: 5
  min_memory_mb:
    description: Memory that is wanted, in MiB.
    type: int
    default: 1024
"""

EXAMPLES = r"""
- name: Look at the host
  stratiform.cloud.doctor:
    groups: "{{ group_names }}"
    controller_time: "{{ now().timestamp() }}"
    ports: [8443]
"""

RETURN = r"""
problems:
  description: What must be repaired first, each a sentence that says how.
  type: list
  elements: str
  returned: always
notes:
  description: What is good to know.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stratiform.cloud.plugins.module_utils.deploy import checks


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "groups": {"type": "list", "elements": "str", "required": True},
            "controller_time": {"type": "float", "required": True},
            "ports": {"type": "list", "elements": "int", "default": []},
            "ranges": {"type": "list", "elements": "str", "default": []},
            "bridges": {"type": "list", "elements": "str", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "min_disk_gb": {"type": "int", "default": 5},
            "min_memory_mb": {"type": "int", "default": 1024},
        },
        supports_check_mode=True,
    )
    problems, notes = checks.examine(module.params)
    module.exit_json(changed=False, problems=problems, notes=notes)


if __name__ == "__main__":
    main()
