#!/usr/bin/python3
"""Reads the end of a guest's console log."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_console
short_description: Read the last lines of a guest's console log
version_added: "1.0.0"
description:
  - Returns the end of the file that a guest's serial console is written to. Changes nothing.
  - At most 100 KiB are returned, however many lines are asked for. Bytes that are not UTF-8 are replaced.
author: Stratiform
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
options:
  id:
    description: Id of the server.
    type: str
  path:
    description: Path of the console log. A missing file is an empty one, since a guest that never ran has none.
    type: path
  length:
    description: Number of lines from the end. Without it, or with a negative number, as many as may be returned.
    type: int
"""

EXAMPLES = r"""
- name: Read the console
  stratiform.cloud.guest_console:
    request: "{{ stratiform_request }}"

- name: Read the last ten lines of one guest
  stratiform.cloud.guest_console:
    id: 6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11
    path: /var/lib/stratiform/host/instances/6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11/console.log
    length: 10
"""

RETURN = r"""
ansible_stats:
  description: The console's end, under C(data.results) by the server's id.
  returned: success
  type: dict
  sample:
    aggregate: true
    per_host: true
    data:
      results:
        6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11:
          output: "login: "
"""

import os  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome  # noqa: E402

MAX_BYTES = 100 * 1024


def tail(path, length):
    """The last ``length`` lines of a file, at most MAX_BYTES of it; all of these when length is None or negative."""
    if length == 0:
        return ""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MAX_BYTES))
            data = file.read(MAX_BYTES)
    except FileNotFoundError:
        return ""
    if length is not None and length > 0:
        data = b"".join(data.splitlines(keepends=True)[-length:])
    return data.decode("utf-8", errors="replace")


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "generation": {"type": "int"},
            "id": {"type": "str", "required": True},
            "path": {"type": "path", "required": True},
            "length": {"type": "int"},
        },
        supports_check_mode=True,
    )
    outcome = Outcome()
    server_id = module.params["id"]
    try:
        outcome.record(server_id, output=tail(module.params["path"], module.params["length"]))
    except OSError as error:
        outcome.fail(server_id, f"The console log cannot be read ({error.strerror}): look after the host's disk.")
    outcome.exit(module)


if __name__ == "__main__":
    main()
