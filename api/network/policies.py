"""Policy rules under Neutron's names with Neutron's defaults (secure RBAC), and Neutron's `field:` check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from oslo_policy import _checks, policy

ADMIN = "rule:admin_only"
ADMIN_OR_SERVICE = f"({ADMIN}) or (rule:service_api)"
MANAGER = f"({ADMIN}) or (role:manager and project_id:%(project_id)s)"
MEMBER = f"({ADMIN}) or (role:member and project_id:%(project_id)s)"
READER = f"({ADMIN}) or (role:reader and project_id:%(project_id)s)"
PROJECT_MEMBER = "role:member and project_id:%(project_id)s"
PROJECT_READER = "role:reader and project_id:%(project_id)s"
NET_OWNER_MANAGER = "role:manager and rule:network_owner"
NET_OWNER_MEMBER = "role:member and rule:network_owner"
NET_OWNER_READER = "role:reader and rule:network_owner"
ADMIN_OR_NET_OWNER = f"({ADMIN}) or ({NET_OWNER_MEMBER})"
SUBNET_CHANGE = f"({PROJECT_MEMBER}) or {ADMIN_OR_NET_OWNER}"
PORT_WRITE = f"{ADMIN_OR_SERVICE} or ({NET_OWNER_MEMBER})"
SG_MEMBER = f"({ADMIN}) or (role:member and rule:sg_owner)"


@policy.register("field")
class FieldCheck(_checks.Check):
    """`field:networks:shared=True`: the target's field has that value; `field:port:device_owner=~^network:` matches."""

    def __init__(self, kind: str, match: str) -> None:
        super().__init__(kind, match)
        self.field, _, self.value = match.partition(":")[2].partition("=")

    def __call__(self, target: Mapping[str, Any], credentials: Mapping[str, Any], enforcer: Any,
                 current_rule: str | None = None) -> bool:  # fmt: skip
        found = target.get(self.field)
        if found is None:
            return False
        if self.value.startswith("~"):
            return re.match(self.value[1:], str(found)) is not None
        return str(found) == self.value


_BASE = {
    "context_is_admin": "role:admin", "admin_only": "rule:context_is_admin", "service_api": "role:service",
    "owner": "project_id:%(project_id)s", "admin_or_owner": "rule:context_is_admin or rule:owner",
    "network_owner": "project_id:%(network:project_id)s",
    "admin_or_network_owner": "rule:context_is_admin or rule:network_owner",
    "sg_owner": "project_id:%(security_group:project_id)s", "shared": "field:networks:shared=True",
    "external": "field:networks:router:external=True", "external_network": "field:subnets:router:external=True",
    "network_device": "field:port:device_owner=~^network:", "compute_device": "field:port:device_owner=~^compute:",
    "regular_user": "",
}  # fmt: skip
_NETWORKS = {
    "create_network": MEMBER, "create_network:shared": ADMIN, "create_network:router:external": ADMIN,
    "create_network:is_default": ADMIN, "create_network:port_security_enabled": MEMBER,
    "create_network:provider:network_type": ADMIN, "create_network:provider:physical_network": ADMIN,
    "create_network:provider:segmentation_id": ADMIN, "create_network:tags": MEMBER,
    "get_network": f"{READER} or ({ADMIN_OR_SERVICE}) or rule:shared or rule:external",
    "get_network:provider:network_type": ADMIN, "get_network:provider:physical_network": ADMIN,
    "get_network:provider:segmentation_id": ADMIN,
    "get_network:tags": f"{READER} or rule:shared or rule:external",
    "update_network": MEMBER, "update_network:shared": ADMIN, "update_network:router:external": ADMIN,
    "update_network:is_default": ADMIN, "update_network:port_security_enabled": MEMBER,
    "update_network:provider:network_type": ADMIN, "update_network:provider:physical_network": ADMIN,
    "update_network:provider:segmentation_id": ADMIN, "update_network:tags": MEMBER,
    "delete_network": MEMBER, "delete_network:tags": MEMBER,
}  # fmt: skip
_SUBNET_READ = f"({PROJECT_READER}) or rule:shared or rule:external_network or ({ADMIN}) or ({NET_OWNER_READER})"
_SUBNETS = {
    "create_subnet": ADMIN_OR_NET_OWNER, "create_subnet:tags": SUBNET_CHANGE,
    "get_subnet": f"{_SUBNET_READ} or (rule:service_api)", "get_subnet:tags": _SUBNET_READ,
    "update_subnet": SUBNET_CHANGE, "update_subnet:tags": SUBNET_CHANGE,
    "delete_subnet": SUBNET_CHANGE, "delete_subnet:tags": SUBNET_CHANGE,
}  # fmt: skip
_POOLS = {
    "shared_subnetpools": "field:subnetpools:shared=True",
    "create_subnetpool": MEMBER, "create_subnetpool:shared": ADMIN, "create_subnetpool:is_default": ADMIN,
    "create_subnetpool:tags": MEMBER, "get_subnetpool": f"{READER} or rule:shared_subnetpools",
    "get_subnetpool:tags": f"{READER} or rule:shared_subnetpools", "update_subnetpool": MEMBER,
    "update_subnetpool:is_default": ADMIN, "update_subnetpool:tags": MEMBER, "delete_subnetpool": MEMBER,
    "delete_subnetpool:tags": MEMBER, "get_auto_allocated_topology": READER, "delete_auto_allocated_topology": MEMBER,
    "get_network_ip_availability": ADMIN,
}  # fmt: skip
_PAIRS = f"{ADMIN_OR_NET_OWNER} or (rule:service_api)"
_PORT_READ = f"{ADMIN_OR_SERVICE} or ({NET_OWNER_READER}) or ({PROJECT_READER})"
_PORTS = {
    "create_port": f"{PORT_WRITE} or rule:shared",
    "create_port:device_id": f"{MEMBER} or (rule:service_api)",
    "create_port:device_owner": f"not rule:network_device or {PORT_WRITE}",
    "create_port:mac_address": PORT_WRITE, "create_port:fixed_ips": f"{PORT_WRITE} or rule:shared",
    "create_port:fixed_ips:ip_address": PORT_WRITE, "create_port:fixed_ips:subnet_id": f"{PORT_WRITE} or rule:shared",
    "create_port:port_security_enabled": PORT_WRITE, "create_port:binding:host_id": ADMIN_OR_SERVICE,
    "create_port:binding:profile": "rule:service_api", "create_port:binding:vnic_type": f"{MEMBER} or rule:service_api",
    "create_port:allowed_address_pairs": _PAIRS, "create_port:allowed_address_pairs:mac_address": _PAIRS,
    "create_port:allowed_address_pairs:ip_address": _PAIRS, "create_port:tags": MEMBER,
    "get_port": _PORT_READ, "get_port:binding:vif_type": ADMIN_OR_SERVICE,
    "get_port:binding:vif_details": ADMIN_OR_SERVICE, "get_port:binding:host_id": ADMIN_OR_SERVICE,
    "get_port:binding:profile": ADMIN_OR_SERVICE, "get_port:tags": _PORT_READ,
    "update_port": f"{ADMIN_OR_SERVICE} or ({PROJECT_MEMBER})",
    "update_port:device_id": f"{MEMBER} or (rule:service_api)",
    "update_port:device_owner": f"not rule:network_device or {PORT_WRITE}",
    "update_port:mac_address": f"{ADMIN_OR_SERVICE} or ({NET_OWNER_MANAGER})",
    "update_port:fixed_ips": PORT_WRITE, "update_port:fixed_ips:ip_address": PORT_WRITE,
    "update_port:fixed_ips:subnet_id": f"{PORT_WRITE} or rule:shared",
    "update_port:port_security_enabled": PORT_WRITE, "update_port:binding:host_id": ADMIN_OR_SERVICE,
    "update_port:binding:profile": "rule:service_api", "update_port:binding:vnic_type": f"{MEMBER} or rule:service_api",
    "update_port:allowed_address_pairs": _PAIRS, "update_port:allowed_address_pairs:mac_address": _PAIRS,
    "update_port:allowed_address_pairs:ip_address": _PAIRS, "update_port:tags": MEMBER,
    "delete_port": f"{ADMIN_OR_SERVICE} or (not rule:compute_device and (({NET_OWNER_MEMBER}) or ({PROJECT_MEMBER})))",
    "delete_port:tags": f"({PROJECT_MEMBER}) or {ADMIN_OR_NET_OWNER}",
}  # fmt: skip
_ROUTERS = {
    f"{verb}_router{suffix}": rule
    for verb in ("create", "update")
    for suffix, rule in {
        "": MEMBER, ":external_gateway_info": MEMBER, ":external_gateway_info:network_id": MEMBER,
        ":external_gateway_info:enable_snat": ADMIN, ":external_gateway_info:external_fixed_ips": ADMIN,
        ":tags": MEMBER}.items()
} | {
    "get_router": READER, "get_router:tags": READER, "delete_router": MEMBER, "delete_router:tags": MEMBER,
    "add_router_interface": MEMBER, "remove_router_interface": MEMBER, "add_extraroutes": MEMBER,
    "remove_extraroutes": MEMBER,
}  # fmt: skip
_FLOATING = {
    "create_floatingip": MEMBER, "create_floatingip:floating_ip_address": MANAGER, "create_floatingip:tags": MEMBER,
    "get_floatingip": READER, "get_floatingip:tags": READER, "update_floatingip": MEMBER,
    "update_floatingip:tags": MEMBER, "delete_floatingip": MEMBER, "delete_floatingip:tags": MEMBER,
}  # fmt: skip
_GROUPS = {
    "create_security_group": MEMBER, "create_security_group:tags": MEMBER, "get_security_group": READER,
    "get_security_group:tags": READER, "update_security_group": MEMBER, "update_security_group:tags": MEMBER,
    "delete_security_group": MEMBER, "delete_security_group:tags": MEMBER, "create_security_group_rule": SG_MEMBER,
    "get_security_group_rule": f"({ADMIN}) or (role:reader and rule:sg_owner)", "delete_security_group_rule": SG_MEMBER,
}  # fmt: skip
_OTHERS = {
    "get_quota": MANAGER, "update_quota": ADMIN, "delete_quota": ADMIN, "get_agent": ADMIN,
    "get_availability_zone": "role:reader",
}  # fmt: skip

TEXTS: dict[str, str] = _BASE | _NETWORKS | _SUBNETS | _POOLS | _PORTS | _ROUTERS | _FLOATING | _GROUPS | _OTHERS
RULES = [policy.RuleDefault(name, text) for name, text in TEXTS.items()]
