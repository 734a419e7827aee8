#!/usr/bin/python3
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Manage a user."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_user
short_description: Manage a user
version_added: "1.0.0"
description:
  - Makes, changes or deletes a user.
  - Whether the password is the given one is found out by a login, so repeating changes nothing.
  - The password of a user who stays disabled cannot be compared and is left alone.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.identity
options:
  name:
    description: The user's name. An id is taken too, to find an existing one.
    type: str
    required: true
  domain:
    description: Name or id of the user's domain.
    type: str
    default: default
  password:
    description: The user's password.
    type: str
  update_password:
    description: Whether an existing user's password is brought to O(password), or only a new user gets it.
    type: str
    choices: [always, on_create]
    default: always
  email:
    description: The user's address. Left as it is when not given.
    type: str
  default_project:
    description: Name or id of the project of tokens that ask for none, in the domain of the user or by id in any.
    type: str
  description:
    description: Free text. Left as it is when not given.
    type: str
  enabled:
    description: Whether it may be used. Left as it is when not given; a new one is enabled.
    type: bool
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Make a user
  stratiform.cloud.identity_user:
    cloud: stratiform-admin
    name: ann
    password: "{{ ann_password }}"
    email: ann@example.org
    default_project: web
"""

RETURN = r"""
user:
  description: The user as the API shows it; in check mode as it would be. Missing when it is absent.
  returned: when it is present
  type: dict
  sample:
    id: 3f0d9a3e6f2c4c5c8d6f0a4d5b6c7e8f
    name: ann
    domain_id: default
    enabled: true
    email: ann@example.org
"""

from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import CLOUD_OPTIONS  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.converge import STATE, Change, run  # noqa: E402

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "domain": {"type": "str", "default": "default"},
    "password": {"type": "str", "no_log": True},
    "update_password": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False},
    "email": {"type": "str"},
    "default_project": {"type": "str"},
    "description": {"type": "str"},
    "enabled": {"type": "bool"},
    "state": STATE,
}


def password_to_set(api: Identity, params: dict[str, Any], found: dict[str, Any] | None) -> dict[str, str] | None:
    """The password to write, or None when it is right, not given, or not to be compared."""
    password = params["password"]
    if password is None or (found is not None and params["update_password"] == "on_create"):
        return None
    if found is None:
        return {"password": password}
    if not found["enabled"]:
        return {"password": password} if params["enabled"] else None
    return None if api.knows_password(found["id"], password) else {"password": password}


def main() -> None:
    """Brings the user to its desired state."""
    module = AnsibleModule(argument_spec={**CLOUD_OPTIONS, **OPTIONS}, supports_check_mode=True)
    params = module.params

    def converge(api: Identity, change: Change) -> None:
        domain_id = api.get("domains", "domain", params["domain"])["id"]
        found = api.find("users", "user", params["name"], domain_id=domain_id)
        if params["state"] == "absent":
            change.absent(found)
            return
        wanted = {name: params[name] for name in ("description", "email", "enabled")}
        if params["default_project"]:
            named = api.find("projects", "project", params["default_project"], domain_id=domain_id)
            project = named or api.get("projects", "project", params["default_project"])
            wanted["default_project_id"] = project["id"]
        secret = password_to_set(api, params, found)
        change.present(found, wanted, on_create={"name": params["name"], "domain_id": domain_id}, secret=secret)

    run(module, "users", "user", converge)


if __name__ == "__main__":
    main()
