#!/usr/bin/python3
"""Brings images, disks and config drives to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_image
short_description: Cache images and make disks and config drives for guests
version_added: "1.0.0"
description:
  - Brings images into the host's cache, verified while they are read.
  - Refuses damaged images and those that refer to other files.
  - Makes disks as qcow2 overlays on cached images. A disk that is there is never made anew or shrunk.
  - Makes config drives as ISO 9660 images with the label C(config-2).
author: Stratiform
requirements:
  - qemu-img
  - genisoimage, for config drives
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
options:
  cache_dir:
    description: Folder of the cached images.
    type: path
    default: /var/lib/stratiform/host/image-cache
  instances_dir:
    description: Folder of the guests' folders, whose disks say which cached images are in use.
    type: path
    default: /var/lib/stratiform/host/instances
  unused_images_s:
    description:
      - Removes cached images that nobody asked for in that many seconds and that no disk in I(instances_dir) stands on.
      - At least 600, so that a disk that is just being made finds its image. Without it, all stay.
    type: int
  images:
    description: Images that must be in the cache. A download that broke off is resumed.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Id of the image, and its name in the cache.
        type: str
        required: true
      url:
        description: Where it is fetched. It may be signed, so it is never shown.
        type: str
        required: true
      ca_file:
        description: Certificates that the server's certificate is checked against. The host's own by default.
        type: path
      checksum:
        description: Checksum that the image must have.
        type: dict
        suboptions:
          algorithm:
            description: Name of the algorithm.
            type: str
            choices: [md5, sha256, sha512]
            required: true
          value:
            description: The checksum in hexadecimal.
            type: str
            required: true
      size_bytes:
        description: Length of the image's file.
        type: int
      format:
        description: Format of the image.
        type: str
        choices: [qcow2, raw]
        required: true
  disks:
    description: Disks of guests.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Id of the server.
        type: str
        required: true
      path:
        description: Path of the disk's file.
        type: path
        required: true
      image_id:
        description: The image that the disk begins as, one of I(images). An empty disk without it.
        type: str
      copy_of:
        description: A disk that this one begins as a copy of, grown to I(size_gb). Nobody may use it meanwhile.
        type: path
      size_gb:
        description: Size in GiB. 0 means the size of the image.
        type: int
        default: 0
      state:
        description: Whether the disk is there.
        type: str
        choices: [present, absent]
        default: present
  config_drives:
    description: Config drives of guests.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Id of the server.
        type: str
        required: true
      path:
        description: Path of the drive's file.
        type: path
        required: true
      files:
        description: Path in the drive and content in base64 of each file.
        type: dict
        default: {}
      state:
        description: Whether the drive is there.
        type: str
        choices: [present, absent]
        default: present
  directories:
    description: Folders of guests.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Id of the server. The folder must have this name.
        type: str
        required: true
      path:
        description: Path of the folder.
        type: path
        required: true
      state:
        description: Whether the folder is there. C(absent) removes all in it.
        type: str
        choices: [present, absent]
        default: present
      disks:
        description: Names of the disks that the folder is to keep. Others in it are removed, unless the list is empty.
        type: list
        elements: str
        default: []
"""

EXAMPLES = r"""
- name: Bring the disks
  stratiform.cloud.disk_image:
    request: "{{ stratiform_request }}"

- name: Make an empty disk
  stratiform.cloud.disk_image:
    disks:
      - id: 6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11
        path: /var/lib/stratiform/host/instances/6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11/disk
        size_gb: 1
"""

RETURN = r"""
ansible_stats:
  description: What is there afterwards, under C(data.results) by id of the server (C(disk_bytes)) or image (C(cached)).
  returned: always
  type: dict
  sample:
    aggregate: true
    per_host: true
    data:
      results:
        6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11:
          disk_bytes: 1073741824
failed_resources:
  description: Ids of the servers and images that could not be brought.
  returned: failure of some
  type: list
  elements: str
failures:
  description: For each of them the reason and what to do.
  returned: failure of some
  type: dict
diff:
  description: For each difference the state before and after.
  returned: in check mode or diff mode, when something differs
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.compute.disks import DiskConverger  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome  # noqa: E402

SHORTEST_AGE_S = 600
STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
ID_AND_PATH = {"id": {"type": "str", "required": True}, "path": {"type": "path", "required": True}, "state": STATE}
CHECKSUM_OPTIONS = {
    "algorithm": {"type": "str", "choices": ["md5", "sha256", "sha512"], "required": True},
    "value": {"type": "str", "required": True},
}
IMAGE_OPTIONS = {
    "id": {"type": "str", "required": True},
    # Nothing with no_log here: it would blot out parts of results. The results never hold the URL or the files,
    # and the invocation is left out of them.
    "url": {"type": "str", "required": True, "no_log": False},
    "ca_file": {"type": "path"},
    "checksum": {"type": "dict", "options": CHECKSUM_OPTIONS},
    "size_bytes": {"type": "int"},
    "format": {"type": "str", "choices": ["qcow2", "raw"], "required": True},
}
DISK_OPTIONS = {
    **ID_AND_PATH,
    "image_id": {"type": "str"},
    "copy_of": {"type": "path"},
    "size_gb": {"type": "int", "default": 0},
}
DIRECTORY_OPTIONS = {**ID_AND_PATH, "disks": {"type": "list", "elements": "str", "default": []}}
CONFIG_DRIVE_OPTIONS = {**ID_AND_PATH, "files": {"type": "dict", "default": {}}}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "generation": {"type": "int"},
            "cache_dir": {"type": "path", "default": "/var/lib/stratiform/host/image-cache"},
            "instances_dir": {"type": "path", "default": "/var/lib/stratiform/host/instances"},
            "unused_images_s": {"type": "int"},
            "images": {"type": "list", "elements": "dict", "default": [], "options": IMAGE_OPTIONS},
            "disks": {"type": "list", "elements": "dict", "default": [], "options": DISK_OPTIONS},
            "config_drives": {"type": "list", "elements": "dict", "default": [], "options": CONFIG_DRIVE_OPTIONS},
            "directories": {"type": "list", "elements": "dict", "default": [], "options": DIRECTORY_OPTIONS},
        },
        supports_check_mode=True,
    )
    age_s = module.params["unused_images_s"]
    if age_s is not None and age_s < SHORTEST_AGE_S:
        module.fail_json(msg=f"unused_images_s is {age_s}: give at least {SHORTEST_AGE_S}.")
    outcome = Outcome()
    DiskConverger(module.params, outcome, module.check_mode).converge()
    outcome.exit(module)


if __name__ == "__main__":
    main()
