#!/usr/bin/python3
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Manage a role."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_role
short_description: Manage a role
version_added: "1.0.0"
description:
  - Makes, changes or deletes a role and says which other roles it implies.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.identity
options:
  name:
    description: The role's name. An id is taken too, to find an existing one.
    type: str
    required: true
  domain:
    description: Name or id of the domain whose own role it is. Without it, it is a role of the cloud.
    type: str
  description:
    description: Free text. Left as it is when not given.
    type: str
  implies:
    description: Names or ids of the roles that this one implies directly, all of them. Left as they are when not given.
    type: list
    elements: str
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: A role that may read like a reader, to be named in policies
  stratiform.cloud.identity_role:
    cloud: stratiform-admin
    name: auditor
    implies: [reader]
"""

RETURN = r"""
role:
  description: The role as the API shows it; in check mode as it would be. Missing when it is absent.
  returned: when it is present
  type: dict
  sample:
    id: 5318e65d75574c17bf5339d3df33a5a3
    name: auditor
    domain_id: null
"""

from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import CLOUD_OPTIONS  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.converge import STATE, Change, run  # noqa: E402

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "domain": {"type": "str"},
    "description": {"type": "str"},
    "implies": {"type": "list", "elements": "str"},
    "state": STATE,
}


def implications(api: Identity, change: Change, role: dict[str, Any] | None, wanted: list[str]) -> None:
    """Makes these the roles that the role implies. A role that check mode did not make implies none yet."""
    roles = {reference: api.get("roles", "role", reference) for reference in wanted}
    after = {found["name"]: found["id"] for found in roles.values()}
    before: dict[str, str] = {}
    if role is not None and "id" in role:
        shown = api.call("GET", f"/roles/{role['id']}/implies")["role_inference"]["implies"]
        before = {found["name"]: found["id"] for found in shown}

    def apply() -> None:
        path = f"/roles/{(change.result or {})['id']}/implies"
        for role_id in sorted(set(after.values()) - set(before.values())):
            api.call("PUT", f"{path}/{role_id}")
        for role_id in sorted(set(before.values()) - set(after.values())):
            api.call("DELETE", f"{path}/{role_id}")

    change.also("implies", sorted(before), sorted(after), apply)


def main() -> None:
    """Brings the role to its desired state."""
    module = AnsibleModule(argument_spec={**CLOUD_OPTIONS, **OPTIONS}, supports_check_mode=True)
    params = module.params

    def converge(api: Identity, change: Change) -> None:
        domain_id = api.get("domains", "domain", params["domain"])["id"] if params["domain"] else None
        found = api.find("roles", "role", params["name"], domain_id=domain_id)
        if params["state"] == "absent":
            change.absent(found)
            return
        on_create = {"name": params["name"], "domain_id": domain_id}
        change.present(found, {"description": params["description"]}, on_create=on_create)
        if params["implies"] is not None:
            implications(api, change, change.result, params["implies"])

    run(module, "roles", "role", converge)


if __name__ == "__main__":
    main()
