"""Write the policy rules that OpenStack's services declare as facts: name, tab, check string; a file a service.

Run in an environment that has the packages: `pip install nova glance openstack-placement keystone`, then
`python tests/facts/policies/extract.py`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = {
    # service: (distribution, module whose list_rules() tells)
    "compute": ("nova", "nova.policies"),
    "image": ("glance", "glance.policies"),
    "placement": ("openstack-placement", "placement.policies"),
    "identity": ("keystone", "keystone.common.policies"),
}


def main() -> None:
    for service, (distribution, module) in SOURCES.items():
        rules = {rule.name: " ".join(rule.check_str.split()) for rule in importlib.import_module(module).list_rules()}
        head = f"# Policy rules of {distribution} {importlib.metadata.version(distribution)} (Apache-2.0)\n"
        lines = [f"{name}\t{check}\n" for name, check in sorted(rules.items())]
        (HERE / f"{service}.tsv").write_text(head + "".join(lines))
        print(f"{service}: {len(rules)} rules")


if __name__ == "__main__":
    main()
