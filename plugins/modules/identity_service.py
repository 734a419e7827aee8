#!/usr/bin/python3
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Manage a service of the catalog."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_service
short_description: Manage a service of the catalog
version_added: "1.0.0"
description:
  - Makes, changes or deletes a service of the catalog. With a service its endpoints are deleted.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.identity
options:
  name:
    description: The service's name. An id is taken too, to find an existing one.
    type: str
    required: true
  type:
    description: What the service is, such as V(dns).
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
- name: Announce a DNS service
  stratiform.cloud.identity_service:
    cloud: stratiform-admin
    type: dns
    name: designate
"""

RETURN = r"""
service:
  description: The service as the API shows it; in check mode as it would be. Missing when it is absent.
  returned: when it is present
  type: dict
  sample:
    id: 17de70ae48c94adaa33dd98f822cd6f1
    name: designate
    type: dns
    enabled: true
"""

from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import CLOUD_OPTIONS  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.converge import STATE, Change, run  # noqa: E402

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "required": True},
    "description": {"type": "str"},
    "enabled": {"type": "bool"},
    "state": STATE,
}


def main() -> None:
    """Brings the service to its desired state."""
    module = AnsibleModule(argument_spec={**CLOUD_OPTIONS, **OPTIONS}, supports_check_mode=True)
    params = module.params

    def converge(api: Identity, change: Change) -> None:
        found = api.find("services", "service", params["name"], type=params["type"])
        if params["state"] == "absent":
            change.absent(found)
            return
        wanted = {"description": params["description"], "enabled": params["enabled"]}
        change.present(found, wanted, on_create={"name": params["name"], "type": params["type"]})

    run(module, "services", "service", converge)


if __name__ == "__main__":
    main()
