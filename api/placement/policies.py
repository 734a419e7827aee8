"""Placement's policy rules, under OpenStack's names and with its defaults: the operator's and the services' API."""

from __future__ import annotations

from oslo_policy import policy

_ADMIN_OR_SERVICE = "rule:admin_or_service_api"
_NAMES = (
    "placement:allocation_candidates:list",
    "placement:allocations:delete",
    "placement:allocations:list",
    "placement:allocations:manage",
    "placement:allocations:update",
    "placement:resource_classes:create",
    "placement:resource_classes:delete",
    "placement:resource_classes:list",
    "placement:resource_classes:show",
    "placement:resource_classes:update",
    "placement:resource_providers:aggregates:list",
    "placement:resource_providers:aggregates:update",
    "placement:resource_providers:allocations:list",
    "placement:resource_providers:create",
    "placement:resource_providers:delete",
    "placement:resource_providers:inventories:create",
    "placement:resource_providers:inventories:delete",
    "placement:resource_providers:inventories:list",
    "placement:resource_providers:inventories:show",
    "placement:resource_providers:inventories:update",
    "placement:resource_providers:list",
    "placement:resource_providers:show",
    "placement:resource_providers:traits:delete",
    "placement:resource_providers:traits:list",
    "placement:resource_providers:traits:update",
    "placement:resource_providers:update",
    "placement:resource_providers:usages",
    "placement:traits:delete",
    "placement:traits:list",
    "placement:traits:show",
    "placement:traits:update",
)
RULES: list[policy.RuleDefault] = [
    policy.RuleDefault("service_api", "role:service"),
    policy.RuleDefault("admin_or_service_api", "role:admin or role:service"),
    policy.RuleDefault("project_reader_api", "role:reader and project_id:%(project_id)s"),
    policy.RuleDefault(
        "admin_or_project_reader_or_service_api", "role:admin or rule:project_reader_api or role:service"
    ),
    *(policy.RuleDefault(name, _ADMIN_OR_SERVICE) for name in _NAMES),
    policy.RuleDefault("placement:reshaper:reshape", "rule:service_api"),
    policy.RuleDefault("placement:usages", "rule:admin_or_project_reader_or_service_api"),
]
