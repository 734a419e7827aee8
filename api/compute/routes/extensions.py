"""/extensions: those of the v2 API whose resources and attributes are really here (deprecated, some clients ask)."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.compute.routes.base import V2, answer, blueprint
from api.http import policy
from api.http.current import context
from api.http.faults import NotFound

_ALIASES = {
    "OS-DCF": "DiskConfig", "OS-EXT-AZ": "ExtendedAvailabilityZone", "OS-EXT-IPS": "ExtendedIps",
    "OS-EXT-IPS-MAC": "ExtendedIpsMac", "OS-EXT-SRV-ATTR": "ExtendedServerAttributes",
    "OS-EXT-STS": "ExtendedStatus", "OS-FLV-DISABLED": "FlavorDisabled", "OS-FLV-EXT-DATA": "FlavorExtraData",
    "OS-SCH-HNT": "SchedulerHints", "OS-SRV-USG": "ServerUsage", "os-attach-interfaces": "AttachInterfaces",
    "os-availability-zone": "AvailabilityZone", "os-config-drive": "ConfigDrive",
    "os-console-output": "ConsoleOutput", "os-extended-volumes": "ExtendedVolumes",
    "os-flavor-access": "FlavorAccess", "os-flavor-extra-specs": "FlavorExtraSpecs",
    "os-flavor-manage": "FlavorManage", "os-flavor-rxtx": "FlavorRxtx", "os-flavor-swap": "FlavorSwap",
    "os-hypervisors": "Hypervisors", "os-instance-actions": "InstanceActions", "os-keypairs": "Keypairs",
    "os-lock-server": "LockServer", "os-multiple-create": "MultipleCreate", "os-quota-sets": "Quotas",
    "os-security-groups": "SecurityGroups", "os-server-tags": "ServerTags", "os-services": "Services",
    "os-used-limits": "UsedLimits", "os-user-data": "UserData",
}  # fmt: skip


def _extension(alias: str) -> dict[str, Any]:
    return {"alias": alias, "name": _ALIASES[alias], "description": "", "links": [], "namespace": "",
            "updated": "2014-12-03T00:00:00Z"}  # fmt: skip


@blueprint.get(f"{V2}/extensions")
def list_extensions() -> Response:
    policy.authorize(context(), "os_compute_api:extensions")
    return answer({"extensions": [_extension(alias) for alias in sorted(_ALIASES)]})


@blueprint.get(f"{V2}/extensions/<alias>")
def show_extension(alias: str) -> Response:
    policy.authorize(context(), "os_compute_api:extensions")
    if alias not in _ALIASES:
        raise NotFound(f"No extension found for alias {alias}.")
    return answer({"extension": _extension(alias)})
