#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Remove what a cloud leaves on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cloud_remains
short_description: Remove what a cloud leaves on a host
version_added: "0.1.0"
description:
  - Guests, processes, namespaces, network devices, nft tables, mounts and files, whoever made them and however far a
    deployment came.
  - In check mode it lists what is there. It fails when something cannot be removed.
author:
  - Contributors to Stratiform
attributes:
  check_mode:
    support: full
    description: Lists what is there.
  diff_mode:
    support: full
    description: The same list.
options:
  bridges:
    description: The provider bridges.
    type: list
    elements: str
    default: []
  paths:
    description: Files and folders of the cloud.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Remove everything
  stratiform.cloud.cloud_remains:
    bridges: [br-ext]
    paths: [/etc/stratiform, /var/lib/stratiform]
"""

RETURN = r"""
remains:
  description: What was there, each with its kind.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stratiform.cloud.plugins.module_utils.deploy import remains


def as_list(found: dict[str, list[str]]) -> list[str]:
    return [f"{kind} {name}" for kind, names in found.items() for name in names]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bridges": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    bridges, paths = module.params["bridges"], module.params["paths"]
    found = as_list(remains.find(bridges, paths))
    if found and not module.check_mode:
        remains.remove(bridges, paths)
        if left := as_list(remains.find(bridges, paths)):
            module.fail_json(msg=f"These could not be removed: {', '.join(left)}.", remains=found)
    result: dict[str, object] = {"changed": bool(found), "remains": found}
    if module._diff:
        result["diff"] = {"before": "".join(f"{line}\n" for line in found), "after": ""}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
