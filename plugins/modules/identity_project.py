#!/usr/bin/python3
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Manage a project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_project
short_description: Manage a project
version_added: "1.0.0"
description:
  - Makes, changes or deletes a project.
  - A project's domain and parent are chosen when it is made and cannot be changed.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.identity
options:
  name:
    description: The project's name. An id is taken too, to find an existing one.
    type: str
    required: true
  domain:
    description: Name or id of the project's domain.
    type: str
    default: default
  parent:
    description: Name or id of the project above it, in the same domain. Only looked at when the project is made.
    type: str
  description:
    description: Free text. Left as it is when not given.
    type: str
  enabled:
    description: Whether it may be used. Left as it is when not given; a new one is enabled.
    type: bool
  tags:
    description: The project's tags, all of them. Left as they are when not given.
    type: list
    elements: str
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Make a project
  stratiform.cloud.identity_project:
    cloud: stratiform-admin
    name: web
    description: The web team
    tags: [production]
"""

RETURN = r"""
project:
  description: The project as the API shows it; in check mode as it would be. Missing when it is absent.
  returned: when it is present
  type: dict
  sample:
    id: 0c4e939acacf4376bdcd1129f1a054ad
    name: web
    domain_id: default
    enabled: true
    tags: [production]
"""

from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import CLOUD_OPTIONS  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.converge import STATE, Change, run  # noqa: E402

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "domain": {"type": "str", "default": "default"},
    "parent": {"type": "str"},
    "description": {"type": "str"},
    "enabled": {"type": "bool"},
    "tags": {"type": "list", "elements": "str"},
    "state": STATE,
}


def main() -> None:
    """Brings the project to its desired state."""
    module = AnsibleModule(argument_spec={**CLOUD_OPTIONS, **OPTIONS}, supports_check_mode=True)
    params = module.params

    def converge(api: Identity, change: Change) -> None:
        domain_id = api.get("domains", "domain", params["domain"])["id"]
        found = api.find("projects", "project", params["name"], domain_id=domain_id)
        if params["state"] == "absent":
            change.absent(found)
            return
        tags = None if params["tags"] is None else sorted(set(params["tags"]))
        wanted = {"description": params["description"], "enabled": params["enabled"], "tags": tags}
        on_create = {"name": params["name"], "domain_id": domain_id}
        if found is None and params["parent"]:
            on_create["parent_id"] = api.get("projects", "project", params["parent"], domain_id=domain_id)["id"]
        change.present(found, wanted, on_create=on_create)

    run(module, "projects", "project", converge)


if __name__ == "__main__":
    main()
