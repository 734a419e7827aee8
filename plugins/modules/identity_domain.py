#!/usr/bin/python3
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Manage a domain."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_domain
short_description: Manage a domain
version_added: "1.0.0"
description:
  - Makes, changes or deletes a domain.
  - An enabled domain is disabled before it is deleted. Everything in it is deleted with it.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.identity
options:
  name:
    description: The domain's name. An id is taken too, to find an existing one.
    type: str
    required: true
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
- name: Give a company a domain of its own
  stratiform.cloud.identity_domain:
    cloud: stratiform-admin
    name: acme
    description: The ACME company

- name: Take it away with everything in it
  stratiform.cloud.identity_domain:
    cloud: stratiform-admin
    name: acme
    state: absent
"""

RETURN = r"""
domain:
  description: The domain as the API shows it; in check mode as it would be. Missing when it is absent.
  returned: when it is present
  type: dict
  sample:
    id: 1789d1cd2c9f4b7ba0d5a3e9f9cbb1d2
    name: acme
    enabled: true
    description: The ACME company
"""

from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import CLOUD_OPTIONS  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.converge import STATE, Change, run  # noqa: E402

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "description": {"type": "str"},
    "enabled": {"type": "bool"},
    "state": STATE,
}


def main() -> None:
    """Brings the domain to its desired state."""
    module = AnsibleModule(argument_spec={**CLOUD_OPTIONS, **OPTIONS}, supports_check_mode=True)
    params = module.params

    def converge(api: Identity, change: Change) -> None:
        found = api.find("domains", "domain", params["name"])
        if params["state"] == "absent":
            change.absent(found, first={"enabled": False})
            return
        wanted = {"description": params["description"], "enabled": params["enabled"]}
        change.present(found, wanted, on_create={"name": params["name"]})

    run(module, "domains", "domain", converge)


if __name__ == "__main__":
    main()
