#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Install Debian packages in one transaction, without starting their services."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: host_packages
short_description: Install Debian packages in one transaction
version_added: "0.1.0"
description:
  - Asks dpkg first, and calls apt only when a package is missing, so that a host that has them all is done in
    milliseconds.
  - While apt runs, services of new packages are not started (C(policy-rc.d)); the roles start what they need,
    configured.
author:
  - Contributors to Stratiform
attributes:
  check_mode:
    support: full
    description: Tells what it would install.
  diff_mode:
    support: full
    description: Shows the missing packages.
options:
  names:
    description: The packages.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Install what a network host needs
  stratiform.cloud.host_packages:
    names:
      - nftables
      - dnsmasq-base
"""

RETURN = r"""
installed:
  description: The packages that were (or in check mode would be) installed.
  type: list
  elements: str
  returned: always
"""

import contextlib
import os
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule

POLICY = "/usr/sbin/policy-rc.d"


def missing(module: AnsibleModule, names: list[str]) -> list[str]:
    """Those of the packages that dpkg does not hold as installed."""
    _, out, _ = module.run_command(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *names], environ_update={"LC_ALL": "C"}
    )
    installed = {line.split(" ", 1)[1] for line in out.splitlines() if line.startswith("installed ")}
    return [name for name in names if name not in installed]


@contextlib.contextmanager
def services_held() -> Iterator[None]:
    """Until the end, maintainer scripts start no service (exit code 101, see invoke-rc.d).

    A policy of the host's own is left as it is.
    """
    if os.path.exists(POLICY):
        yield
        return
    descriptor = os.open(POLICY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
    with os.fdopen(descriptor, "w") as file:
        file.write("#!/bin/sh\nexit 101\n")
    try:
        yield
    finally:
        os.unlink(POLICY)


def install(module: AnsibleModule, names: list[str]) -> None:
    """Install, with one refresh of apt's lists when they do not know a package or a version is gone."""
    environment = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    command = [
        "apt-get",
        "-q",
        "-y",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Dpkg::Options::=--force-confold",
        "--no-install-recommends",
        "install",
        *names,
    ]
    with services_held():
        code, out, err = module.run_command(command, environ_update=environment)
        if code != 0:
            code, out, err = module.run_command(
                ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "update"], environ_update=environment
            )
            if code == 0:
                code, out, err = module.run_command(command, environ_update=environment)
    if code != 0:
        reason = (
            "\n".join(line for line in err.splitlines() if line.startswith("E:")) or err.strip() or out.strip()[-2000:]
        )
        module.fail_json(
            msg=f"apt could not install {' '.join(names)}: {reason}. Repair its sources or the network and try again.",
            installed=[],
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={"names": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    wanted = sorted(set(module.params["names"]))
    absent = missing(module, wanted) if wanted else []
    if absent and not module.check_mode:
        install(module, absent)
        if left := missing(module, absent):
            module.fail_json(msg=f"apt said that all is well, but dpkg has no {', '.join(left)}.", installed=[])
    result: dict[str, object] = {"changed": bool(absent), "installed": absent}
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(f"{name}\n" for name in absent)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
