#!/usr/bin/python
# Copyright: Contributors to Stratiform
# SPDX-License-Identifier: Apache-2.0
"""Entries of the user's clouds.yaml, beside those of other clouds."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: clouds_file
short_description: Entries of the user's clouds.yaml
version_added: "0.1.0"
description:
  - Adds or replaces entries of C(clouds.yaml), readable by the user alone. Other entries, their order and their
    comments stay.
  - Runs on the controller.
author:
  - Contributors to Stratiform
requirements:
  - ruamel.yaml
attributes:
  check_mode:
    support: full
    description: Tells whether the file would change.
  diff_mode:
    support: none
    description: The file holds passwords.
options:
  directory:
    description: The folder of C(clouds.yaml). The authority's certificate is put there too.
    type: path
    required: true
  state:
    description: Whether the entries are there.
    type: str
    choices: [present, absent]
    default: present
  clouds:
    description: >-
      The entries by name, each with C(username), C(password) and C(project_name). Only the names matter for
      O(state=absent).
    type: dict
    required: true
  auth_url:
    description: The URL of the identity service.
    type: str
  region:
    description: The region.
    type: str
  authority:
    description: The certificate of the cloud's authority (PEM).
    type: str
"""

EXAMPLES = r"""
- name: Forget a cloud
  stratiform.cloud.clouds_file:
    directory: ~/.config/openstack
    state: absent
    clouds: {stratiform: {}}
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: always
"""

import io
import os
import tempfile
import traceback
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from ruamel.yaml import YAML, YAMLError

    IMPORT_ERROR = None
except ImportError:
    IMPORT_ERROR = traceback.format_exc()

CERTIFICATE = "stratiform-ca.crt"


def put(path: str, text: str, mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
    # A link stays a link: some users keep the file elsewhere.
    os.replace(temporary, os.path.realpath(path))


def entry(params: dict[str, Any], cloud: dict[str, str], certificate: str) -> dict[str, Any]:
    return {
        "auth": {
            "auth_url": params["auth_url"],
            **cloud,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        "region_name": params["region"],
        "identity_api_version": 3,
        "cacert": certificate,
    }


def merge(params: dict[str, Any], document: Any, certificate: str) -> Any:
    """The document with our entries as they should be."""
    if document is None:
        document = {}
    clouds = document.setdefault("clouds", {})
    if clouds is None:
        clouds = document["clouds"] = {}
    for name, cloud in params["clouds"].items():
        if params["state"] == "absent":
            clouds.pop(name, None)
        elif (wanted := entry(params, cloud, certificate)) != clouds.get(name):
            clouds[name] = wanted
    return document


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "clouds": {"type": "dict", "required": True},
            "auth_url": {"type": "str"},
            "region": {"type": "str"},
            "authority": {"type": "str"},
        },
        required_if=[("state", "present", ("auth_url", "region", "authority"))],
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("ruamel.yaml"), exception=IMPORT_ERROR)
    directory = module.params["directory"]
    path, certificate = os.path.join(directory, "clouds.yaml"), os.path.join(directory, CERTIFICATE)
    present = module.params["state"] == "present"
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    before = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            before = file.read()
    try:
        document = yaml.load(before)
        if document is not None and (
            not isinstance(document, dict) or not isinstance(document.get("clouds") or {}, dict)
        ):
            module.fail_json(msg=f"{path} is no file of clouds: its clouds must be a mapping. Repair or move it.")
        merged = dump(yaml, merge(module.params, document, certificate))
        plain = YAML(typ="safe", pure=True)
        same = plain.load(before) == plain.load(merged) if before else not present
    except YAMLError as error:
        module.fail_json(msg=f"{path} cannot be read ({str(error).splitlines()[0]}). Repair or move it.")
    after = before if same else merged
    loose = present and os.path.exists(path) and os.stat(path).st_mode & 0o077 != 0
    authority = module.params["authority"] if present else None
    former_authority = None
    if os.path.exists(certificate):
        with open(certificate, encoding="ascii") as file:
            former_authority = file.read()
    changed = not same or loose or authority != former_authority
    if changed and not module.check_mode:
        if present:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            put(certificate, authority or "", 0o644)
            put(path, after, 0o600)
        else:
            if former_authority is not None:
                os.unlink(certificate)
            if before:
                remains = yaml.load(after)
                if not remains or list(remains) == ["clouds"] and not remains["clouds"]:
                    os.unlink(path)
                else:
                    put(path, after, 0o600)
    module.exit_json(changed=changed, path=path)


def dump(yaml: Any, document: Any) -> str:
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


if __name__ == "__main__":
    main()
