#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""What a new cloud's users begin with, made through the API."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: starter_resources
short_description: What a new cloud's users begin with
version_added: "0.1.0"
description:
  - A project with a member, flavors, and the external network with its subnet, all through the public API.
  - What is there under the same name is left as its owner made it, except that the member's password is what is given.
  - Runs on the controller.
author:
  - Contributors to Stratiform
requirements:
  - openstacksdk
attributes:
  check_mode:
    support: full
    description: Tells what is missing.
  diff_mode:
    support: none
    description: Resources are made, never changed.
options:
  cloud:
    description: An administrator's entry in C(clouds.yaml).
    type: str
    required: true
  config_file:
    description: The file C(clouds.yaml).
    type: path
    required: true
  project:
    description: The project's name.
    type: str
    required: true
  user:
    description: The name of its member.
    type: str
    required: true
  password:
    description: The member's password.
    type: str
    required: true
  flavors:
    description: Sizes of servers, memory in MiB, disk in GiB.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name.
        type: str
        required: true
      vcpus:
        description: Virtual CPUs.
        type: int
        required: true
      memory_mb:
        description: Memory in MiB.
        type: int
        required: true
      disk_gb:
        description: Disk in GiB.
        type: int
        required: true
  provider_network:
    description: The external network.
    type: dict
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      physical_network:
        description: The name of the physical network.
        type: str
        required: true
      cidr:
        description: The range.
        type: str
        required: true
      gateway:
        description: The gateway's address.
        type: str
        required: true
      pool:
        description: The first and the last address for routers and floating IPs.
        type: list
        elements: str
        required: true
"""

EXAMPLES = r"""
- name: Make a project with a member
  stratiform.cloud.starter_resources:
    cloud: stratiform-admin
    config_file: ~/.config/openstack/clouds.yaml
    project: demo
    user: demo
    password: "{{ demo_password }}"
"""

RETURN = r"""
made:
  description: What was missing.
  type: list
  elements: str
  returned: always
"""

import traceback
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import keystoneauth1.exceptions
    import openstack
    import openstack.exceptions

    IMPORT_ERROR = None
except ImportError:
    IMPORT_ERROR = traceback.format_exc()


class Starter:
    """Finds each resource by name and makes it when it is missing; check mode only notes it."""

    def __init__(self, connection: Any, params: dict[str, Any], check_mode: bool) -> None:
        self.connection, self.params, self.check_mode = connection, params, check_mode
        self.made: list[str] = []

    def ensure(self, what: str, found: Any, make: Callable[[], Any]) -> Any:
        if found is not None:
            return found
        self.made.append(what)
        return None if self.check_mode else make()

    def identity(self) -> None:
        identity, params = self.connection.identity, self.params
        project = self.ensure(
            f"project {params['project']}",
            identity.find_project(params["project"]),
            lambda: identity.create_project(
                name=params["project"], domain_id="default", description="The project to begin with"
            ),
        )
        user = self.ensure(
            f"user {params['user']}",
            identity.find_user(params["user"]),
            lambda: identity.create_user(
                name=params["user"], domain_id="default", password=params["password"], default_project_id=project.id
            ),
        )
        role = identity.find_role("member", ignore_missing=False)
        if project is None or user is None or not identity.validate_user_has_project_role(project, user, role):
            self.made.append(f"role member of {params['user']} on {params['project']}")
            if not self.check_mode:
                identity.assign_project_role_to_user(project, user, role)

    def member_password(self) -> None:
        """Set the member's password when it is not the one that clouds.yaml has (after a change of secrets, say)."""
        member = {
            "username": self.params["user"],
            "password": self.params["password"],
            "project_name": self.params["project"],
        }
        probe = openstack.connect(
            **{**self.connection.config.config["auth"], **member},
            cacert=self.connection.config.config.get("cacert"), region_name=self.connection.config.region_name,
        )  # fmt: skip
        try:
            probe.authorize()
        except keystoneauth1.exceptions.Unauthorized:
            self.made.append(f"password of {self.params['user']}")
            if not self.check_mode:
                user = self.connection.identity.find_user(self.params["user"], ignore_missing=False)
                self.connection.identity.update_user(user, password=self.params["password"])
        finally:
            probe.close()

    def flavors(self) -> None:
        compute = self.connection.compute
        names = {flavor.name for flavor in compute.flavors(details=False)}
        for flavor in self.params["flavors"]:
            if flavor["name"] not in names:
                self.made.append(f"flavor {flavor['name']}")
                if not self.check_mode:
                    compute.create_flavor(
                        name=flavor["name"], vcpus=flavor["vcpus"], ram=flavor["memory_mb"], disk=flavor["disk_gb"]
                    )

    def network(self) -> None:
        network, wanted = self.connection.network, self.params["provider_network"]
        external = self.ensure(
            f"network {wanted['name']}",
            network.find_network(wanted["name"]),
            lambda: network.create_network(
                name=wanted["name"],
                is_router_external=True,
                provider_network_type="flat",
                provider_physical_network=wanted["physical_network"],
            ),
        )
        if external is None or not external.subnet_ids:
            self.made.append(f"subnet {wanted['cidr']}")
            if not self.check_mode:
                first, last = wanted["pool"]
                network.create_subnet(
                    name=f"{wanted['name']}-v4", network_id=external.id, ip_version=4, cidr=wanted["cidr"],
                    gateway_ip=wanted["gateway"],
                    allocation_pools=[{"start": first, "end": last}], is_dhcp_enabled=False,
                )  # fmt: skip


def main() -> None:
    flavor = {
        "name": {"type": "str", "required": True},
        "vcpus": {"type": "int", "required": True},
        "memory_mb": {"type": "int", "required": True},
        "disk_gb": {"type": "int", "required": True},
    }
    provider = {
        "name": {"type": "str", "required": True},
        "physical_network": {"type": "str", "required": True},
        "cidr": {"type": "str", "required": True},
        "gateway": {"type": "str", "required": True},
        "pool": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "cloud": {"type": "str", "required": True},
            "config_file": {"type": "path", "required": True},
            "project": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "flavors": {"type": "list", "elements": "dict", "default": [], "options": flavor},
            "provider_network": {"type": "dict", "options": provider},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("openstacksdk"), exception=IMPORT_ERROR)
    made: list[str] = []
    try:
        with openstack.connection.Connection(
            config=openstack.config.OpenStackConfig(config_files=[module.params["config_file"]]).get_one(
                module.params["cloud"]
            )
        ) as connection:
            starter = Starter(connection, module.params, module.check_mode)
            made = starter.made
            starter.identity()
            if not module.check_mode:
                starter.member_password()
            starter.flavors()
            if module.params["provider_network"]:
                starter.network()
    except (openstack.exceptions.SDKException, keystoneauth1.exceptions.ClientException) as error:
        module.fail_json(msg=f"The cloud's API refused: {error}", made=made)
    module.exit_json(changed=bool(made), made=made)


if __name__ == "__main__":
    main()
