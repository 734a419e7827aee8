#!/usr/bin/python3
"""Sets a password in a running guest, by its agent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_password
short_description: Set a user's password in a guest
version_added: "1.0.0"
description:
  - Has QEMU's guest agent, which must run in the guest, set a user's password.
  - A password cannot be read, so it is set each time. The same one again changes nothing.
author: Stratiform
requirements:
  - python3-libvirt on the host
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
options:
  id:
    description: Id of the server.
    type: str
  user:
    description: Whose password it is.
    type: str
  password:
    description: The password. It is never shown.
    type: str
"""

EXAMPLES = r"""
- name: Set the password
  stratiform.cloud.guest_password:
    request: "{{ stratiform_request }}"
"""

RETURN = r"""
ansible_stats:
  description: That the password was set, under C(data.results) by the server's id.
  returned: success
  type: dict
  sample:
    aggregate: true
    per_host: true
    data:
      results:
        6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11:
          password_set: true
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome  # noqa: E402


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "generation": {"type": "int"},
            "id": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        from ansible_collections.stratiform.cloud.plugins.module_utils.compute import guest_queries
    except ImportError:
        module.fail_json(msg=missing_required_lib("libvirt (Debian: python3-libvirt)"), invocation={})
    outcome = Outcome()
    server_id, user = module.params["id"], module.params["user"]
    if outcome.change(f"password of {user} in guest {server_id}", None, {"set": True}) and not module.check_mode:
        try:
            guest_queries.set_password(server_id, user, module.params["password"])
            outcome.record(server_id, password_set=True)
        except guest_queries.QueryFailed as error:
            outcome.fail(server_id, str(error))
    outcome.exit(module)


if __name__ == "__main__":
    main()
