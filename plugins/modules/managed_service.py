#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Programs that run for ever, under systemd or supervisor."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: managed_service
short_description: Programs that run for ever, under systemd or supervisor
version_added: "0.1.0"
description:
  - Writes the unit (systemd where it is PID 1, else Debian's supervisor), enables and starts the program, and waits
    until it is ready.
  - A running program is restarted only when it is not the one that was asked for. Its process says so itself, by a
    fingerprint of command, environment and
    O(services[].fingerprint) in its environment, so an interrupted deployment is completed by the next.
author:
  - Contributors to Stratiform
attributes:
  check_mode:
    support: full
    description: Tells which programs would be started, restarted or removed.
  diff_mode:
    support: full
    description: Shows the units.
options:
  services:
    description: The programs.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The unit's name without a suffix.
        type: str
        required: true
      description:
        description: What it is, in a line.
        type: str
        default: ""
      command:
        description: The program and its arguments, by full path. Not for O(services[].state=absent).
        type: list
        elements: str
        default: []
      user:
        description: The user it runs as.
        type: str
        default: root
      environment:
        description: Environment variables.
        type: dict
        default: {}
      directory:
        description: Its working directory.
        type: path
        default: /
      kind:
        description: V(daemon) runs for ever, V(oneshot) runs at every boot.
        type: str
        choices: [daemon, oneshot]
        default: daemon
      after:
        description: Programs that start earlier.
        type: list
        elements: str
        default: []
      keep_children:
        description: Whether what it started (guests, dnsmasq) outlives it.
        type: bool
        default: false
      systemd_unit:
        description: A unit of a Debian package, used under systemd in place of a unit of our own.
        type: str
      adopt:
        description: Whether a program that answers already, and that this manager did not start, is left alone.
        type: bool
        default: false
      stop_timeout_s:
        description: How long it may take to end, in seconds.
        type: int
        default: 15
      fingerprint:
        description: Anything whose change wants a restart, such as the hash of its configuration.
        type: str
        default: ""
      ready_socket:
        description: A unix socket that it answers on when it is ready.
        type: path
      ready_port:
        description: A TCP port that it answers on when it is ready.
        type: int
      ready_address:
        description: The address of that port.
        type: str
        default: 127.0.0.1
      ready_timeout_s:
        description: How long it may take to become ready, in seconds.
        type: int
        default: 60
      state:
        description: V(started), or V(absent) to stop and remove it.
        type: str
        choices: [started, absent]
        default: started
  end_own_supervisor:
    description: Whether to end a supervisord that this module started, when it has no program left.
    type: bool
    default: false
  log_directory:
    description: Where each program's output goes.
    type: path
    default: /var/log/stratiform
  manager:
    description: The process manager; V(auto) is systemd where it is PID 1.
    type: str
    choices: [auto, systemd, supervisor]
    default: auto
"""

EXAMPLES = r"""
- name: Run the resident worker
  stratiform.cloud.managed_service:
    services:
      - name: stratiform-worker
        description: Stratiform's resident worker
        command: [/usr/bin/python3, -I, /usr/lib/stratiform/worker.py]
        keep_children: true
        ready_socket: /run/stratiform/worker.sock
"""

RETURN = r"""
actions:
  description: What was done, one sentence a program.
  type: list
  elements: str
  returned: always
manager:
  description: The process manager.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stratiform.cloud.plugins.module_utils.deploy.services import (
    SERVICE_OPTIONS,
    ServiceError,
    choose_manager,
    converge,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "services": {"type": "list", "elements": "dict", "required": True, "options": SERVICE_OPTIONS},
            "end_own_supervisor": {"type": "bool", "default": False},
            "log_directory": {"type": "path", "default": "/var/log/stratiform"},
            "manager": {"type": "str", "choices": ["auto", "systemd", "supervisor"], "default": "auto"},
        },
        supports_check_mode=True,
    )
    manager = choose_manager(module.params["manager"], module.run_command, module.params["log_directory"])
    actions: list[str] = []
    before: list[str] = []
    after: list[str] = []
    try:
        for service in module.params["services"]:
            outcome = converge(manager, service, module.check_mode)
            actions.extend(outcome.actions)
            before.append(outcome.before)
            after.append(outcome.after)
        if module.params["end_own_supervisor"]:
            actions.extend(manager.end_own(module.check_mode))
    except ServiceError as error:
        module.fail_json(msg=str(error), actions=actions)
    result: dict[str, object] = {"changed": bool(actions), "actions": actions, "manager": manager.name}
    if module._diff:
        result["diff"] = {"before": "".join(before), "after": "".join(after)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
