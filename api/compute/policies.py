"""Compute's policy rules under Nova's names, with its defaults (admin, member and reader of the project)."""

from __future__ import annotations

from oslo_policy import policy

_ADMIN = "role:admin"
_MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
_MANAGER = "role:admin or (role:manager and project_id:%(project_id)s)"
_READER = "role:admin or (role:reader and project_id:%(project_id)s)"
_USER_MEMBER = "role:admin or user_id:%(user_id)s"
_ANY = "@"

_BY_CHECK: dict[str, tuple[str, ...]] = {
    _ADMIN: (
        "os-admin-actions:reset_state", "os-evacuate", "os-migrate-server:migrate:host",
        "os-migrate-server:migrate_live:host", "os-migrations:index:all_projects", "os-migrations:index:host",
        "servers:migrations:index:host", "servers:migrations:show", "os-server-diagnostics", "os-shelve:shelve_offload",
        "os-shelve:unshelve_to_host",
        "os-aggregates:add_host", "os-aggregates:create", "os-aggregates:delete", "os-aggregates:index",
        "os-aggregates:remove_host", "os-aggregates:set_metadata", "os-aggregates:show", "os-aggregates:update",
        "os-extended-server-attributes", "os-flavor-access", "os-flavor-access:add_tenant_access",
        "os-flavor-access:remove_tenant_access", "os-flavor-extra-specs:create", "os-flavor-extra-specs:delete",
        "os-flavor-extra-specs:update", "os-flavor-manage:create", "os-flavor-manage:delete",
        "os-flavor-manage:update", "os-hypervisors:list", "os-hypervisors:list-detail", "os-hypervisors:search",
        "os-hypervisors:servers", "os-hypervisors:show", "os-hypervisors:statistics", "os-hypervisors:uptime",
        "os-instance-actions:events", "os-instance-actions:events:details", "os-lock-server:unlock:unlock_override",
        "os-quota-sets:delete", "os-quota-sets:update", "os-services:delete", "os-services:list",
        "os-services:update", "os-availability-zone:detail", "servers:allow_all_filters",
        "os-server-groups:index:all_projects",
        "servers:create:forced_host", "servers:create:requested_destination", "servers:detail:get_all_tenants",
        "servers:index:get_all_tenants", "servers:show:host_status", "limits:other_project", "os-used-limits",
    ),
    _MANAGER: (
        "os-migrate-server:migrate", "os-migrate-server:migrate_live", "os-migrations:index",
        "servers:migrations:delete", "servers:migrations:force_complete", "servers:migrations:index",
    ),
    _MEMBER: (
        "os-lock-server:lock", "os-lock-server:unlock", "os-server-tags:delete", "os-server-tags:delete_all",
        "os-server-tags:update", "os-server-tags:update_all", "server-metadata:create", "server-metadata:delete",
        "server-metadata:update", "server-metadata:update_all", "servers:create", "servers:create:attach_network",
        "servers:create:trusted_certs", "servers:delete", "servers:reboot", "servers:start", "servers:stop",
        "servers:update", "os-attach-interfaces:create", "os-attach-interfaces:delete", "os-console-output",
        "os-server-groups:create", "os-server-groups:delete",
        "os-pause-server:pause", "os-pause-server:unpause",
        "os-suspend-server:suspend", "os-suspend-server:resume", "servers:trigger_crash_dump", "servers:create_image",
        "servers:create_image:allow_volume_backed", "os-create-backup", "os-rescue", "os-unrescue", "servers:rebuild",
        "servers:rebuild:trusted_certs", "servers:resize", "servers:confirm_resize", "servers:revert_resize",
        "os-shelve:shelve", "os-shelve:unshelve", "os-admin-password", "os-deferred-delete:force",
        "os-deferred-delete:restore", "os-security-groups:add", "os-security-groups:remove", "os-floating-ips:add",
        "os-floating-ips:remove", "os-server-password:clear",
    ),
    _READER: (
        "os-server-password:show", "ips:index", "ips:show", "os-attach-interfaces:list", "os-attach-interfaces:show",
        "os-flavor-extra-specs:index", "os-flavor-extra-specs:show", "os-instance-actions:list",
        "os-instance-actions:show", "os-quota-sets:detail", "os-quota-sets:show", "os-security-groups:list",
        "os-server-groups:index", "os-server-groups:show",
        "os-server-tags:index", "os-server-tags:show", "server-metadata:index", "server-metadata:show",
        "servers:detail", "servers:index", "servers:show", "servers:show:flavor-extra-specs",
    ),
    _USER_MEMBER: (
        "os-keypairs:create", "os-keypairs:delete", "os-keypairs:index", "os-keypairs:show",
    ),
    _ANY: ("extensions", "limits", "os-availability-zone:list", "os-quota-sets:defaults"),
}  # fmt: skip

RULES: list[policy.RuleDefault] = [
    policy.RuleDefault(f"os_compute_api:{name}", check) for check, names in _BY_CHECK.items() for name in names
]
