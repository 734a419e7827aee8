#!/usr/bin/python3
"""Reads the figures of a guest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_diagnostics
short_description: Read the figures of a guest
version_added: "1.0.0"
description:
  - Returns what libvirt knows of a guest's processors, memory, disks and interfaces. Changes nothing.
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
"""

EXAMPLES = r"""
- name: Read the figures
  stratiform.cloud.guest_diagnostics:
    request: "{{ stratiform_request }}"

- name: Read those of one guest
  stratiform.cloud.guest_diagnostics:
    id: 6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11
"""

RETURN = r"""
ansible_stats:
  description: The figures, under C(data.results) by the server's id. Times in nanoseconds, memory in KiB.
  returned: success
  type: dict
  sample:
    aggregate: true
    per_host: true
    data:
      results:
        6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11:
          diagnostics:
            state: running
            memory_kib: 131072
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome  # noqa: E402


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"generation": {"type": "int"}, "id": {"type": "str", "required": True}},
        supports_check_mode=True,
    )
    try:
        from ansible_collections.stratiform.cloud.plugins.module_utils.compute import guest_queries
    except ImportError:
        module.fail_json(msg=missing_required_lib("libvirt (Debian: python3-libvirt)"), invocation={})
    outcome = Outcome()
    server_id = module.params["id"]
    try:
        outcome.record(server_id, diagnostics=guest_queries.diagnostics(server_id))
    except guest_queries.QueryFailed as error:
        outcome.fail(server_id, str(error))
    outcome.exit(module)


if __name__ == "__main__":
    main()
