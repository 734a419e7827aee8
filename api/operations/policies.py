"""The operations API's policy rules. No OpenStack service has such an API, so the names are our own."""

from __future__ import annotations

from oslo_policy import policy

_ADMIN = "role:admin"
_MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
_READER = "role:admin or (role:reader and project_id:%(project_id)s)"

RULES: list[policy.RuleDefault] = [
    policy.RuleDefault("operations:list", _READER),
    policy.RuleDefault("operations:list:all_projects", _ADMIN),
    policy.RuleDefault("operations:show", _READER),
    policy.RuleDefault("operations:show:hosts", _ADMIN),
    policy.RuleDefault("operations:events", _READER),
    policy.RuleDefault("operations:output", _ADMIN),
    policy.RuleDefault("operations:cancel", _MEMBER),
    policy.RuleDefault("operations:retry", _MEMBER),
    policy.RuleDefault("operations:metrics", _ADMIN),
    policy.RuleDefault("operations:project:hangs_on", _READER),
    policy.RuleDefault("operations:project:purge", "role:admin or (role:manager and project_id:%(project_id)s)"),
]
"""`show:hosts` makes an operator of the caller: hosts, engines, unabridged messages."""
