"""Identity's policy rules under OpenStack's names, with its defaults (secure RBAC, domain managers included)."""

from __future__ import annotations

from oslo_policy import policy

_ADMIN = "rule:admin_required"
_SYSTEM_READER = "(role:reader and system_scope:all)"
_ADMIN_OR_SYSTEM_READER = f"{_ADMIN} or {_SYSTEM_READER}"
_OWNER = "user_id:%(user_id)s"
_TOKEN_SUBJECT = "user_id:%(target.token.user_id)s"
_ANYONE = "@"


def _in_domain(role: str, *targets: str) -> str:
    """A role on the domain that all the targets are of."""
    return " and ".join((f"(role:{role}", *(f"domain_id:%({target})s" for target in targets))) + ")"


def _read(*targets: str) -> str:
    return f"{_ADMIN_OR_SYSTEM_READER} or {_in_domain('reader', *targets)}"


def _manage(*targets: str) -> str:
    return f"{_ADMIN} or {_in_domain('manager', *targets)}"


_PAIRS = [
    (f"target.{actor}.domain_id", target)
    for actor in ("user", "group")
    for target in ("target.project.domain_id", "target.domain.id")
]
_ROLE_OF_DOMAIN = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
_MANAGED_ROLE = " or ".join(f"'{name}':%(target.role.name)s" for name in ("manager", "member", "reader"))


def _grant(role: str) -> str:
    return "(" + " or ".join(_in_domain(role, *pair) for pair in _PAIRS) + ")"


_CHANGE_GRANT = (
    f"{_ADMIN} or ({_grant('admin')} and {_ROLE_OF_DOMAIN}) or "
    f"({_grant('manager')} and rule:domain_managed_target_role)"
)
_OWN_PROJECT = "project_id:%(target.project.id)s"
_PROJECT, _USER, _GROUP = "target.project.domain_id", "target.user.domain_id", "target.group.domain_id"

_TEXTS = {
    "admin_required": "role:admin",
    "domain_managed_target_role": _MANAGED_ROLE,
    # tokens
    "identity:check_token": f"{_ADMIN_OR_SYSTEM_READER} or {_TOKEN_SUBJECT}",
    "identity:validate_token": f"{_ADMIN_OR_SYSTEM_READER} or role:service or {_TOKEN_SUBJECT}",
    "identity:revoke_token": f"{_ADMIN} or {_TOKEN_SUBJECT}",
    "identity:get_auth_catalog": _ANYONE,
    "identity:get_auth_projects": _ANYONE,
    "identity:get_auth_domains": _ANYONE,
    "identity:get_auth_system": _ANYONE,
    # domains and projects
    "identity:get_domain": f"{_ADMIN_OR_SYSTEM_READER} or domain_id:%(target.domain.id)s or "
                           "project_domain_id:%(target.domain.id)s",
    "identity:list_domains": _read("target.domain.id"),
    "identity:get_project": f"{_read(_PROJECT)} or {_OWN_PROJECT}",
    "identity:list_projects": _read("target.domain_id"),
    "identity:list_user_projects": f"{_read(_USER)} or user_id:%(target.user.id)s",
    "identity:create_project": _manage(_PROJECT),
    "identity:update_project": _manage(_PROJECT),
    "identity:delete_project": _manage(_PROJECT),
    "identity:list_project_tags": f"{_read(_PROJECT)} or {_OWN_PROJECT}",
    "identity:get_project_tag": f"{_read(_PROJECT)} or {_OWN_PROJECT}",
    "identity:update_project_tags": _manage(_PROJECT),
    "identity:create_project_tag": _manage(_PROJECT),
    "identity:delete_project_tags": _manage(_PROJECT),
    "identity:delete_project_tag": _manage(_PROJECT),
    # users and groups
    "identity:get_user": f"{_read(_USER)} or user_id:%(target.user.id)s",
    "identity:list_users": _read("target.domain_id"),
    "identity:create_user": _manage(_USER),
    "identity:update_user": _manage(_USER),
    "identity:delete_user": _manage(_USER),
    "identity:get_group": _read(_GROUP),
    "identity:list_groups": _read(_GROUP),
    "identity:list_groups_for_user": f"{_read(_USER)} or {_OWNER}",
    "identity:create_group": _manage(_GROUP),
    "identity:update_group": _manage(_GROUP),
    "identity:delete_group": _manage(_GROUP),
    "identity:list_users_in_group": _read(_GROUP),
    "identity:check_user_in_group": _read(_GROUP, _USER),
    "identity:add_user_to_group": _manage(_GROUP, _USER),
    "identity:remove_user_from_group": _manage(_GROUP, _USER),
    # roles and grants
    "identity:get_role": f"{_ADMIN_OR_SYSTEM_READER} or (role:manager and rule:domain_managed_target_role)",
    "identity:list_roles": f"{_ADMIN_OR_SYSTEM_READER} or (role:manager and not domain_id:None)",
    "identity:check_grant": f"{_ADMIN_OR_SYSTEM_READER} or ({_grant('reader')} and {_ROLE_OF_DOMAIN})",
    "identity:list_grants": f"{_ADMIN_OR_SYSTEM_READER} or {_grant('reader')}",
    "identity:create_grant": _CHANGE_GRANT,
    "identity:revoke_grant": _CHANGE_GRANT,
    "identity:list_role_assignments": _read("target.domain_id"),
    "identity:list_role_assignments_for_tree": _read("target.domain_id"),
    # the catalog
    "identity:get_region": _ANYONE,
    "identity:list_regions": _ANYONE,
    # application credentials
    "identity:get_application_credential": f"{_ADMIN_OR_SYSTEM_READER} or {_OWNER}",
    "identity:list_application_credentials": f"{_ADMIN_OR_SYSTEM_READER} or {_OWNER}",
    "identity:create_application_credential": _OWNER,
    "identity:delete_application_credential": f"{_ADMIN} or {_OWNER}",
}  # fmt: skip

_TRUSTOR = "user_id:%(target.trust.trustor_user_id)s"
_TRUSTEE = "user_id:%(target.trust.trustee_user_id)s"
_HOLDER = "user_id:%(target.credential.user_id)s"

_TEXTS |= {
    # access rules
    "identity:get_access_rule": f"{_ADMIN_OR_SYSTEM_READER} or {_OWNER}",
    "identity:list_access_rules": f"{_ADMIN_OR_SYSTEM_READER} or {_OWNER}",
    "identity:delete_access_rule": f"{_ADMIN} or {_OWNER}",
    # trusts
    "identity:create_trust": _TRUSTOR,
    "identity:list_trusts": _ADMIN_OR_SYSTEM_READER,
    "identity:list_trusts_for_trustor": f"{_ADMIN_OR_SYSTEM_READER} or {_TRUSTOR}",
    "identity:list_trusts_for_trustee": f"{_ADMIN_OR_SYSTEM_READER} or {_TRUSTEE}",
    "identity:get_trust": f"{_ADMIN_OR_SYSTEM_READER} or {_TRUSTOR} or {_TRUSTEE}",
    "identity:list_roles_for_trust": f"{_ADMIN_OR_SYSTEM_READER} or {_TRUSTOR} or {_TRUSTEE}",
    "identity:get_role_for_trust": f"{_ADMIN_OR_SYSTEM_READER} or {_TRUSTOR} or {_TRUSTEE}",
    "identity:delete_trust": f"{_ADMIN} or {_TRUSTOR}",
    # credentials
    **{f"identity:{name}": f"{_ADMIN_OR_SYSTEM_READER} or {_HOLDER}" for name in (
        "get_credential", "list_credentials", "ec2_get_credential", "ec2_list_credentials")},
    **{f"identity:{name}": f"{_ADMIN} or {_HOLDER}" for name in (
        "create_credential", "update_credential", "delete_credential", "ec2_create_credential",
        "ec2_delete_credential")},
    "identity:ec2tokens_validate": f"{_ADMIN} or role:service",
    "identity:s3tokens_validate": f"{_ADMIN} or role:service",
}  # fmt: skip

_ADMINS_ALONE = (
    *(f"{verb}_{noun}" for verb in ("create", "update", "delete")
      for noun in ("domain", "role", "domain_role", "region", "service", "endpoint", "policy", "endpoint_group")),
    "add_endpoint_to_project", "remove_endpoint_from_project", "add_endpoint_group_to_project",
    "remove_endpoint_group_from_project",
    "create_implied_role", "delete_implied_role",
    *(f"{verb}_system_grant_for_{actor}" for verb in ("create", "revoke") for actor in ("user", "group")),
)  # fmt: skip
_SYSTEM_READERS_TOO = (
    "get_policy", "list_policies", "get_endpoint_group", "list_endpoint_groups", "list_projects_for_endpoint",
    "check_endpoint_in_project", "list_endpoints_for_project", "list_projects_associated_with_endpoint_group",
    "list_endpoints_associated_with_endpoint_group", "get_endpoint_group_in_project",
    "list_endpoint_groups_for_project",
    "get_service", "list_services", "get_endpoint", "list_endpoints", "get_domain_role", "list_domain_roles",
    "get_implied_role", "list_implied_roles", "check_implied_role", "list_role_inference_rules",
    *(f"{verb}_for_{actor}" for verb in ("list_system_grants", "check_system_grant") for actor in ("user", "group")),
)  # fmt: skip

RULES = [
    policy.RuleDefault(name, text)
    for name, text in (
        _TEXTS
        | {f"identity:{name}": _ADMIN for name in _ADMINS_ALONE}
        | {f"identity:{name}": _ADMIN_OR_SYSTEM_READER for name in _SYSTEM_READERS_TOO}
    ).items()
]
