#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""A virtual environment with the packages of a requirements file."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: python_environment
short_description: A virtual environment with the packages of a requirements file
version_added: "0.1.0"
description:
  - Makes the environment with the host's Python and installs the requirements. The hash of the requirements and the
    Python version are kept in it; while
    they are the same, nothing is done.
author:
  - Contributors to Stratiform
attributes:
  check_mode:
    support: full
    description: Tells whether packages would be installed.
  diff_mode:
    support: none
    description: The packages are pip's business.
options:
  path:
    description: The environment.
    type: path
    required: true
  requirements:
    description: The requirements file on the host.
    type: path
    required: true
  python:
    description: The Python to make it with.
    type: path
    default: /usr/bin/python3
"""

EXAMPLES = r"""
- name: Install the control plane's packages
  stratiform.cloud.python_environment:
    path: /opt/stratiform/venv
    requirements: /opt/stratiform/collections/ansible_collections/stratiform/cloud/api/requirements.txt
"""

RETURN = r"""
fingerprint:
  description: The hash of what the environment was made from.
  type: str
  returned: always
"""

import hashlib
import os
import shutil

from ansible.module_utils.basic import AnsibleModule

STAMP = ".stratiform-requirements"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "requirements": {"type": "path", "required": True},
            "python": {"type": "path", "default": "/usr/bin/python3"},
        },
        supports_check_mode=True,
    )
    path, python = module.params["path"], module.params["python"]
    code, version, err = module.run_command([python, "--version"])
    if code != 0:
        module.fail_json(msg=f"{python} does not run: {err.strip()}")
    try:
        with open(module.params["requirements"], "rb") as file:
            requirements = file.read()
    except FileNotFoundError:
        if module.check_mode:
            module.exit_json(changed=True, fingerprint="")
        module.fail_json(msg=f"{module.params['requirements']} does not exist on the host.")
    fingerprint = hashlib.sha256(version.encode() + requirements).hexdigest()
    stamp = os.path.join(path, STAMP)
    if os.path.exists(stamp):
        with open(stamp, encoding="ascii") as file:
            if file.read().strip() == fingerprint:
                module.exit_json(changed=False, fingerprint=fingerprint)
    if module.check_mode:
        module.exit_json(changed=True, fingerprint=fingerprint)
    if not os.path.exists(os.path.join(path, "bin", "pip")):
        shutil.rmtree(path, ignore_errors=True)
        code, out, err = module.run_command([python, "-m", "venv", path])
        if code != 0:
            module.fail_json(msg=f"{python} -m venv {path} failed: {(err or out).strip()}. Is python3-venv installed?")
    command = [
        os.path.join(path, "bin", "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        module.params["requirements"],
    ]
    code, out, err = module.run_command(command, environ_update={"LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": ""})
    if code != 0:
        module.fail_json(msg=f"pip could not install the requirements: {(err or out).strip()[-2000:]}")
    with open(stamp, "w", encoding="ascii") as file:
        file.write(fingerprint + "\n")
    module.exit_json(changed=True, fingerprint=fingerprint)


if __name__ == "__main__":
    main()
