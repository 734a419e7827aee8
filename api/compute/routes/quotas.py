"""/os-quota-sets and /limits."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.compute import quotas, schemas, versions
from api.compute.routes.base import V2, answer, blueprint
from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest
from api.http.microversions import at_least, microversion
from api.http.responses import empty
from api.http.validation import json_body
from api.identity import service as identity

QUOTAS = f"{V2}/os-quota-sets/<project_id>"


def _names() -> tuple[str, ...]:
    hidden: frozenset[str] = frozenset()
    if microversion() >= versions.NO_PROXIES:
        hidden |= quotas.NETWORK_QUOTAS
    if microversion() >= versions.NO_PERSONALITY:
        hidden |= quotas.FILE_QUOTAS
    return tuple(name for name in quotas.DEFAULTS if name not in hidden)


def _known(project_id: str) -> None:
    if identity.get_project(read_session(), project_id) is None:
        raise BadRequest(f"Project ID {project_id} is not a valid project.")


def _set(limits: dict[str, int], project_id: str | None = None) -> Response:
    body: dict[str, Any] = {name: limits[name] for name in _names()}
    return answer({"quota_set": {"id": project_id, **body} if project_id else body})


@blueprint.get(QUOTAS)
def show_quotas(project_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-quota-sets:show", {"project_id": project_id})
    _known(project_id)
    return _set(quotas.limits_of(read_session(), project_id), project_id)


@blueprint.get(f"{QUOTAS}/defaults")
def show_default_quotas(project_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-quota-sets:defaults", {"project_id": project_id})
    return _set(quotas.DEFAULTS, project_id)


@blueprint.get(f"{QUOTAS}/detail")
def show_quota_details(project_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-quota-sets:detail", {"project_id": project_id})
    _known(project_id)
    session = read_session()
    limits, used = quotas.limits_of(session, project_id), quotas.usage_of(session, project_id)
    body = {name: {"limit": limits[name], "in_use": used.get(name, 0), "reserved": 0} for name in _names()}
    return answer({"quota_set": {"id": project_id, **body}})


@blueprint.put(QUOTAS)
def update_quotas(project_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-quota-sets:update", {"project_id": project_id})
    body = json_body(schemas.quota_update(_names()))["quota_set"]
    _known(project_id)
    limits = {name: int(value) for name, value in body.items() if name in quotas.DEFAULTS}
    session = write_session()
    quotas.update(session, project_id, limits, force=schemas.truth(body.get("force", False)))
    session.flush()
    return _set(quotas.limits_of(session, project_id))


@blueprint.delete(QUOTAS)
def delete_quotas(project_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-quota-sets:delete", {"project_id": project_id})
    quotas.reset(write_session(), project_id)
    return empty(202)


_LIMITS = {
    "instances": "maxTotalInstances", "cores": "maxTotalCores", "ram": "maxTotalRAMSize",
    "metadata_items": "maxServerMeta", "key_pairs": "maxTotalKeypairs", "server_groups": "maxServerGroups",
    "server_group_members": "maxServerGroupMembers", "injected_files": "maxPersonality",
    "injected_file_content_bytes": "maxPersonalitySize", "floating_ips": "maxTotalFloatingIps",
    "security_groups": "maxSecurityGroups", "security_group_rules": "maxSecurityGroupRules",
}  # fmt: skip


@blueprint.get(f"{V2}/limits")
def show_limits() -> Response:
    policy.authorize(context(), "os_compute_api:limits")
    project_id = context().project_id or ""
    if asked := request.args.get("tenant_id"):
        policy.authorize(context(), "os_compute_api:limits:other_project", {"project_id": asked})
        project_id = asked
    session = read_session()
    limits, used = quotas.limits_of(session, project_id), quotas.usage_of(session, project_id)
    names = _names()
    absolute = {shown: limits[name] for name, shown in _LIMITS.items() if name in names}
    if not at_least(2, 39):
        absolute["maxImageMeta"] = limits["metadata_items"]
    absolute |= {"totalInstancesUsed": used["instances"], "totalCoresUsed": used["cores"],
                 "totalRAMUsed": used["ram"],
                 "totalServerGroupsUsed": used["server_groups"]}  # fmt: skip
    if microversion() < versions.NO_PROXIES:
        absolute |= {"totalSecurityGroupsUsed": 0, "totalFloatingIpsUsed": 0}
    return answer({"limits": {"rate": [], "absolute": absolute}})
