#!/usr/bin/python3
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Manage an endpoint of the catalog."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_endpoint
short_description: Manage an endpoint of the catalog
version_added: "1.0.0"
description:
  - Makes, changes or deletes where a service answers, for one interface in one region. The region must be there.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.identity
options:
  service:
    description: Name or id of the service.
    type: str
    required: true
  interface:
    description: Who the endpoint is for.
    type: str
    choices: [public, internal, admin]
    required: true
  region:
    description: Id of the region.
    type: str
    required: true
  url:
    description: The service's URL. C($(project_id)s) in it stands for the project's id. Required to make one.
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
- name: Say where DNS answers
  stratiform.cloud.identity_endpoint:
    cloud: stratiform-admin
    service: designate
    interface: public
    region: RegionOne
    url: https://cloud.example.org/dns
"""

RETURN = r"""
endpoint:
  description: The endpoint as the API shows it; in check mode as it would be. Missing when it is absent.
  returned: when it is present
  type: dict
  sample:
    id: 8b408d4198ff4347aa1c5fbeaf1ddb12
    interface: public
    region_id: RegionOne
    url: https://cloud.example.org/dns
    enabled: true
"""

from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity, Refused  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.cloud import CLOUD_OPTIONS  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.converge import STATE, Change, run  # noqa: E402

OPTIONS: dict[str, Any] = {
    "service": {"type": "str", "required": True},
    "interface": {"type": "str", "choices": ["public", "internal", "admin"], "required": True},
    "region": {"type": "str", "required": True},
    "url": {"type": "str"},
    "enabled": {"type": "bool"},
    "state": STATE,
}


def find(api: Identity, params: dict[str, Any], service_id: str) -> dict[str, Any] | None:
    """The endpoint of the service, interface and region, or None."""
    found = api.listed("endpoints", service_id=service_id, interface=params["interface"], region_id=params["region"])
    if len(found) > 1:
        raise Refused(409, f"There are {len(found)} such endpoints: delete all but one by the API.")
    return found[0] if found else None


def main() -> None:
    """Brings the endpoint to its desired state."""
    module = AnsibleModule(argument_spec={**CLOUD_OPTIONS, **OPTIONS}, supports_check_mode=True)
    params = module.params

    def converge(api: Identity, change: Change) -> None:
        if params["state"] == "absent":
            service = api.find("services", "service", params["service"])
            change.absent(find(api, params, service["id"]) if service else None)
            return
        service = api.get("services", "service", params["service"])
        found = find(api, params, service["id"])
        if found is None and not params["url"]:
            raise Refused(400, "There is no such endpoint, and to make one url is needed.")
        on_create = {"service_id": service["id"], "interface": params["interface"], "region_id": params["region"]}
        change.present(found, {"url": params["url"], "enabled": params["enabled"]}, on_create=on_create)

    run(module, "endpoints", "endpoint", converge)


if __name__ == "__main__":
    main()
