"""Placement's policy rules, under OpenStack's names and with its defaults: the operator's and the services' API."""

from __future__ import annotations

from oslo_policy import policy

_READ = "role:admin or role:service"
_NAMES = (
    "placement:resource_providers:list",
    "placement:resource_providers:show",
    "placement:resource_providers:inventories:list",
    "placement:resource_providers:inventories:show",
    "placement:resource_providers:usages",
    "placement:resource_providers:allocations:list",
    "placement:resource_providers:traits:list",
    "placement:resource_providers:aggregates:list",
)
RULES: list[policy.RuleDefault] = [policy.RuleDefault(name, _READ) for name in _NAMES]
