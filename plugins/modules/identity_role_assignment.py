#!/usr/bin/python3
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Give a role to a user or a group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_role_assignment
short_description: Give a role to a user or a group
version_added: "1.0.0"
description:
  - Gives a user or a group a role on a project, on a domain or on the whole system, or takes it away.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.identity
options:
  role:
    description: Name or id of the role.
    type: str
    required: true
  user:
    description: Name or id of the user. Either this or O(group).
    type: str
  group:
    description: Name or id of the group.
    type: str
  actor_domain:
    description: Name or id of the domain of the user or group.
    type: str
    default: default
  project:
    description: Name or id of the project. One of this, O(domain) and O(system).
    type: str
  project_domain:
    description: Name or id of the project's domain.
    type: str
    default: default
  domain:
    description: Name or id of the domain.
    type: str
  system:
    description: Whether the role is on the whole system.
    type: bool
  inherited:
    description: Whether the role is on the projects below instead of on the project or domain itself.
    type: bool
    default: false
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Ann works in the project web
  stratiform.cloud.identity_role_assignment:
    cloud: stratiform-admin
    user: ann
    role: member
    project: web

- name: The operators run the cloud
  stratiform.cloud.identity_role_assignment:
    cloud: stratiform-admin
    group: operators
    role: admin
    system: true
"""

RETURN = r"""
role_assignment:
  description: Who has what where, as the path of the assignment below the API's version.
  returned: always
  type: dict
  sample:
    path: /system/users/3f0d9a3e6f2c4c5c8d6f0a4d5b6c7e8f/roles/5318e65d75574c17bf5339d3df33a5a3
"""

from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import CLOUD_OPTIONS  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.converge import STATE, Change, run  # noqa: E402

OPTIONS: dict[str, Any] = {
    "role": {"type": "str", "required": True},
    "user": {"type": "str"},
    "group": {"type": "str"},
    "actor_domain": {"type": "str", "default": "default"},
    "project": {"type": "str"},
    "project_domain": {"type": "str", "default": "default"},
    "domain": {"type": "str"},
    "system": {"type": "bool"},
    "inherited": {"type": "bool", "default": False},
    "state": STATE,
}


def path_of(api: Identity, params: dict[str, Any]) -> str:
    """The path of the assignment, below the API's version."""
    kind = "user" if params["user"] else "group"
    actor_domain = api.get("domains", "domain", params["actor_domain"])["id"]
    actor = api.get(f"{kind}s", kind, params[kind], domain_id=actor_domain)["id"]
    if params["project"]:
        project_domain = api.get("domains", "domain", params["project_domain"])["id"]
        place = "projects/" + api.get("projects", "project", params["project"], domain_id=project_domain)["id"]
    elif params["domain"]:
        place = "domains/" + api.get("domains", "domain", params["domain"])["id"]
    else:
        place = "system"
    role = api.get("roles", "role", params["role"])["id"]
    path = f"{place}/{kind}s/{actor}/roles/{role}"
    return f"/OS-INHERIT/{path}/inherited_to_projects" if params["inherited"] else f"/{path}"


def main() -> None:
    """Gives the role, or takes it away."""
    module = AnsibleModule(
        argument_spec={**CLOUD_OPTIONS, **OPTIONS}, supports_check_mode=True,
        mutually_exclusive=[("user", "group"), ("project", "domain", "system")],
        required_one_of=[("user", "group"), ("project", "domain", "system")],
    )  # fmt: skip
    params = module.params
    if params["system"] is False or (params["system"] and params["inherited"]):
        module.fail_json(msg="system is either true and not inherited, or not given.")

    def converge(api: Identity, change: Change) -> None:
        path = path_of(api, params)
        given, wanted = api.exists(path), params["state"] == "present"
        change.result = {"path": path}
        change.also("given", given, wanted, lambda: _apply(api, path, wanted))

    run(module, "role_assignments", "role_assignment", converge)


def _apply(api: Identity, path: str, wanted: bool) -> None:
    api.call("PUT" if wanted else "DELETE", path)


if __name__ == "__main__":
    main()
