#!/usr/bin/python3
"""Makes the guests of a host as desired, through libvirt."""

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_domain
short_description: Define, start, stop, reboot and remove guests
version_added: "1.0.0"
description:
  - Makes a host's guests as desired through libvirt.
  - The definition is compared with the domain's own and changed only where it differs.
  - A changed definition of a running guest takes effect at its next start, but for its interfaces, which are
    plugged in and taken out at once.
  - One guest's failure does not stop the others. All failures are reported together.
author: Stratiform
requirements:
  - python3-libvirt on the host
extends_documentation_fragment:
  - stratiform.cloud.attributes
  - stratiform.cloud.attributes.request
options:
  domains:
    description: The guests. Guests that are not listed are left alone.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: UUID of the server and of its domain.
        type: str
        required: true
      name:
        description: Name of the domain, unique on the host. Needed to define a guest.
        type: str
      title:
        description: A title for people.
        type: str
      vcpus:
        description: Number of virtual processors. Without it the definition is left as it is.
        type: int
      memory_mb:
        description: Memory in MiB. Without it the definition is left as it is.
        type: int
      disks:
        description: Disks and CD drives in boot order.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Path of the file on the host.
            type: path
            required: true
          device:
            description: Kind of drive.
            type: str
            choices: [disk, cdrom]
            default: disk
          format:
            description: Format of the file.
            type: str
            choices: [qcow2, raw]
            default: qcow2
          bus:
            description: Bus of the drive. C(ide) is the usual one for a CD drive.
            type: str
            choices: [virtio, scsi, sata, ide]
            default: virtio
          boot_order:
            description: Place in the order in which the firmware tries the drives. By default that of the list.
            type: int
      interfaces:
        description: Network interfaces on taps that exist.
        type: list
        elements: dict
        default: []
        suboptions:
          port_id:
            description: Id of the port.
            type: str
          tap:
            description: Name of the tap device.
            type: str
            required: true
          mac:
            description: MAC address.
            type: str
            required: true
          mtu:
            description: MTU that the guest is told.
            type: int
      console_log:
        description: File that the guest's serial console is appended to.
        type: path
      vnc:
        description: Whether the guest has a screen, served by VNC on 127.0.0.1.
        type: bool
        default: false
      guest_agent:
        description: Whether the guest has a channel for QEMU's guest agent.
        type: bool
        default: false
      metadata:
        description: Names and values kept with the definition, for people who look at the host.
        type: dict
        default: {}
      virt_type:
        description: How the guest is run. C(auto) takes C(kvm) where a guest was seen running with it.
        type: str
        choices: [auto, kvm, qemu]
        default: auto
      power_state:
        description:
          - Desired power state. Without it the guest stays as it is.
          - C(suspended) means off, with its memory in a file from which C(running) goes on.
        type: str
        choices: [running, shutdown, paused, suspended]
      unless_mark:
        description: I(power_state) is left alone when the reboot with this mark has been done.
        type: str
      interrupt:
        description: Mark of a non-maskable interrupt that the guest gets once.
        type: str
      shutdown_timeout_s:
        description: Seconds that a guest has to shut itself down before its power is taken. 0 takes it at once.
        type: int
        default: 60
      unplug_timeout_s:
        description: Seconds that a running guest has to let go of an interface that it shall not have any more.
        type: int
        default: 40
      reboot:
        description: A reboot, done once for each mark. Only together with I(power_state=running).
        type: dict
        suboptions:
          type:
            description: A soft one asks the guest and becomes hard after the timeout.
            type: str
            choices: [soft, hard]
            default: soft
          mark:
            description: Id of the job. A reboot whose mark the domain has is not repeated.
            type: str
            required: true
          timeout_s:
            description: Seconds that the guest has to shut itself down.
            type: int
            default: 60
      state:
        description: Whether the guest is defined at all.
        type: str
        choices: [present, absent]
        default: present
"""

EXAMPLES = r"""
- name: Make the guests as desired
  stratiform.cloud.libvirt_domain:
    request: "{{ stratiform_request }}"

- name: Run one guest from a disk
  stratiform.cloud.libvirt_domain:
    domains:
      - id: 6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11
        name: instance-6f0a3f6c
        vcpus: 1
        memory_mb: 256
        disks:
          - path: /var/lib/stratiform/host/instances/6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11/disk
        console_log: /var/lib/stratiform/host/instances/6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11/console.log
        power_state: running
"""

RETURN = r"""
ansible_stats:
  description: What was observed of each guest afterwards, under C(data.results) by id.
  returned: always
  type: dict
  sample:
    aggregate: true
    per_host: true
    data:
      results:
        6f0a3f6c-2b40-4d0e-9d9b-0a4a7f0d9b11:
          power_state: running
          vnc_port: 5900
          outcome: null
failed_resources:
  description: Ids of the guests that could not be made as desired.
  returned: failure of some guests
  type: list
  elements: str
failures:
  description: For each of them the reason and what to do.
  returned: failure of some guests
  type: dict
diff:
  description: For each difference the state before and after.
  returned: in check mode or diff mode, when something differs
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib  # noqa: E402
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome  # noqa: E402

DISK_OPTIONS = {
    "path": {"type": "path", "required": True},
    "device": {"type": "str", "choices": ["disk", "cdrom"], "default": "disk"},
    "format": {"type": "str", "choices": ["qcow2", "raw"], "default": "qcow2"},
    "bus": {"type": "str", "choices": ["virtio", "scsi", "sata", "ide"], "default": "virtio"},
    "boot_order": {"type": "int"},
}
INTERFACE_OPTIONS = {
    "port_id": {"type": "str"},
    "tap": {"type": "str", "required": True},
    "mac": {"type": "str", "required": True},
    "mtu": {"type": "int"},
}
REBOOT_OPTIONS = {
    "type": {"type": "str", "choices": ["soft", "hard"], "default": "soft"},
    "mark": {"type": "str", "required": True},
    "timeout_s": {"type": "int", "default": 60},
}
DOMAIN_OPTIONS = {
    "id": {"type": "str", "required": True},
    "name": {"type": "str"},
    "title": {"type": "str"},
    "vcpus": {"type": "int"},
    "memory_mb": {"type": "int"},
    "disks": {"type": "list", "elements": "dict", "default": [], "options": DISK_OPTIONS},
    "interfaces": {"type": "list", "elements": "dict", "default": [], "options": INTERFACE_OPTIONS},
    "console_log": {"type": "path"},
    "vnc": {"type": "bool", "default": False},
    "guest_agent": {"type": "bool", "default": False},
    "metadata": {"type": "dict", "default": {}},
    "virt_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
    "power_state": {"type": "str", "choices": ["running", "shutdown", "paused", "suspended"]},
    "unless_mark": {"type": "str"},
    "interrupt": {"type": "str"},
    "shutdown_timeout_s": {"type": "int", "default": 60},
    "unplug_timeout_s": {"type": "int", "default": 40},
    "reboot": {"type": "dict", "options": REBOOT_OPTIONS},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "generation": {"type": "int"},
            "domains": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": DOMAIN_OPTIONS,
                "required_together": [("name", "vcpus", "memory_mb")],
            },
        },
        supports_check_mode=True,
    )
    try:
        from ansible_collections.stratiform.cloud.plugins.module_utils.compute import domains
    except ImportError:
        module.fail_json(msg=missing_required_lib("libvirt (Debian: python3-libvirt)"), invocation={})
    outcome = Outcome()
    domains.converge(module.params["domains"], outcome, module.check_mode)
    outcome.exit(module)


if __name__ == "__main__":
    main()
