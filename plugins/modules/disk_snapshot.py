#!/usr/bin/python3
"""Makes images of guests' disks and sends them to the image service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_snapshot
short_description: Make images of guests' disks
version_added: "1.0.0"
description:
  - Writes a guest's disk, as it is at one moment, with all that lies below it, as a qcow2 image to the image service.
  - A running guest goes on meanwhile. Where QEMU's guest agent answers, its file systems are frozen for the moment.
  - An image has its id before it is made, so a repeated call sends the same image.
author: Stratiform
requirements:
  - python3-libvirt on the host
  - qemu-img
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
options:
  snapshots:
    description: The images to be made.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Id of the server.
        type: str
        required: true
      image_id:
        description: Id of the image.
        type: str
        required: true
      disk:
        description: Path of the disk. The copy is made beside it.
        type: path
        required: true
      url:
        description: Where the image is sent by PUT. It is signed, so it is never shown.
        type: str
        required: true
      ca_file:
        description: Certificates that the server's certificate is checked against. The host's own by default.
        type: path
"""

EXAMPLES = r"""
- name: Make the images
  stratiform.cloud.disk_snapshot:
    request: "{{ stratiform_request }}"
"""

RETURN = r"""
ansible_stats:
  description: Id and length of each server's image, under C(data.results) by the server's id.
  returned: always
  type: dict
  sample:
    aggregate: true
    per_host: true
    data:
      results:
        6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11:
          image_id: 0b5b1d5e-5f0c-4ad4-bb6b-6c2a4f0d9b22
          size_bytes: 17825792
failed_resources:
  description: Ids of the servers whose image could not be made.
  returned: failure of some
  type: list
  elements: str
failures:
  description: For each of them the reason and what to do.
  returned: failure of some
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome  # noqa: E402

SNAPSHOT_OPTIONS = {
    "id": {"type": "str", "required": True},
    "image_id": {"type": "str", "required": True},
    "disk": {"type": "path", "required": True},
    # As in disk_image: no_log would blot out parts of results, which never hold the URL.
    "url": {"type": "str", "required": True, "no_log": False},
    "ca_file": {"type": "path"},
}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "generation": {"type": "int"},
            "snapshots": {"type": "list", "elements": "dict", "default": [], "options": SNAPSHOT_OPTIONS},
        },
        supports_check_mode=True,
    )
    try:
        from ansible_collections.stratiform.cloud.plugins.module_utils.compute import snapshots
    except ImportError:
        module.fail_json(msg=missing_required_lib("libvirt (Debian: python3-libvirt)"), invocation={})
    outcome = Outcome()
    snapshots.converge(module.params["snapshots"], outcome, module.check_mode)
    outcome.exit(module)


if __name__ == "__main__":
    main()
