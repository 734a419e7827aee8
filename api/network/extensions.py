"""The extensions that this service really has, under Neutron's aliases."""

from __future__ import annotations

_NAMES = {
    "agent": "agent", "allowed-address-pairs": "Allowed Address Pairs",
    "auto-allocated-topology": "Auto Allocated Topology Services", "availability_zone": "Availability Zone",
    "binding": "Port Binding", "default-subnetpools": "Default Subnetpools", "dns-integration": "DNS Integration",
    "ext-gw-mode": "Neutron L3 Configurable external gateway mode", "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "extraroute": "Neutron Extra Route", "extraroute-atomic": "Atomically add/remove extra routes",
    "empty-string-filtering": "Empty String Filtering Extension",
    "filter-validation": "Filter parameters validation",
    "ip-substring-filtering": "IP address substring filtering", "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)", "network_availability_zone": "Network Availability Zone",
    "network-ip-availability": "Network IP Availability", "subnet_allocation": "Subnet Allocation",
    "pagination": "Pagination support", "port-security": "Port Security",
    "project-id": "project_id field enabled", "provider": "Provider Network",
    "quota-check-limit": "Quota engine limit check",
    "quotas": "Quota management support",
    "quota_details": "Quota details management support", "router": "Neutron L3 Router",
    "router_availability_zone": "Router Availability Zone", "security-group": "security-group",
    "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
    "sorting": "Sorting support", "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers", "standard-attr-tag": "Tag support for resources with "
    "standard attribute", "standard-attr-timestamp": "Resource timestamps",
}  # fmt: skip
_UPDATED = "2026-01-01T00:00:00-00:00"

EXTENSIONS = [
    {"alias": alias, "name": name, "description": name, "updated": _UPDATED, "links": []}
    for alias, name in sorted(_NAMES.items())
]  # fmt: skip
