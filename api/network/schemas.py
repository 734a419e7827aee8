"""What requests may hold: each resource's attributes, where they are allowed, their types, and Neutron's refusals."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from api.http.faults import BadRequest
from api.http.validation import Schema
from api.network import faults

Check = Callable[[str, Any], Any]
_MAC = re.compile(r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")
_LABEL = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$")


@dataclass(frozen=True)
class Attribute:
    """One attribute: its JSON Schema, in which requests it may stand, its default, and a check that normalises it."""

    schema: dict[str, Any]
    post: bool = True
    put: bool = True
    required: bool = False
    default: Any = None
    check: Check | None = None
    column: str = ""


def _refuse(name: str, reason: str) -> BadRequest:
    return faults.invalid(f"Invalid input for {name}. Reason: {reason}.")


def ip(name: str, value: Any) -> Any:
    """An IP address in its usual form, or None."""
    if value is None:
        return None
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise _refuse(name, f"'{value}' is not a valid IP address") from None


def cidr(name: str, value: Any) -> Any:
    """A network's CIDR without host bits, or None."""
    if value is None:
        return None
    try:
        wide = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise _refuse(name, f"'{value}' is not a valid IP subnet") from None
    try:
        ipaddress.ip_network(value)
    except ValueError:
        reason = f"'{value}' isn't a recognized IP subnet cidr, '{wide}' is recommended"
        raise _refuse(name, reason) from None
    if "/" not in value:
        raise _refuse(name, f"'{value}' isn't a recognized IP subnet cidr, '{wide}' is recommended")
    return str(wide)


def mac(name: str, value: Any) -> Any:
    """A unicast MAC address in lower case with colons."""
    text = str(value).lower().replace("-", ":")
    if not _MAC.match(text) or text == "00:00:00:00:00:00" or int(text[:2], 16) & 1:
        raise _refuse(name, f"'{value}' is not a valid MAC address")
    return text


def dns_name(name: str, value: Any) -> Any:
    """A host name of one or more labels."""
    labels = value.rstrip(".").split(".") if value else []
    if not all(_LABEL.match(label) for label in labels) or len(value) > 255:
        raise _refuse(name, f"'{value}' not a valid PQDN or FQDN")
    return value.lower()


def _each(check: Check) -> Check:
    def all_of(name: str, values: Any) -> Any:
        checked = [check(name, value) for value in values or []]
        if len({repr(value) for value in checked}) != len(checked):
            raise _refuse(name, f"Duplicate items in the list: '{values}'")
        return checked

    return all_of


def _fixed_ips(name: str, values: Any) -> Any:
    return None if values is None else [_fixed_ip(name, value) for value in values]


def _route(name: str, value: Any) -> Any:
    return {"destination": cidr(name, value["destination"]), "nexthop": ip(name, value["nexthop"])}


def _pool(name: str, value: Any) -> Any:
    return {"start": ip(name, value["start"]), "end": ip(name, value["end"])}


def _fixed_ip(name: str, value: Any) -> Any:
    found = {key: text for key, text in value.items() if text is not None}
    return found | {"ip_address": ip(name, found["ip_address"])} if "ip_address" in found else found


def _pair(name: str, value: Any) -> Any:
    if "/" in value["ip_address"]:
        try:
            address = str(ipaddress.ip_network(value["ip_address"], strict=False))
        except ValueError:
            raise _refuse(name, f"'{value['ip_address']}' is not a valid IP subnet") from None
    else:
        address = ip(name, value["ip_address"])
    return {"ip_address": address} | (
        {"mac_address": mac(name, value["mac_address"])} if value.get("mac_address") else {}
    )


def _list_of(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    item = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"type": ["array", "null"], "items": item, "maxItems": 1000}


TEXT = {"type": "string", "maxLength": 255}
BOOL = {"enum": [True, False, "true", "false", "True", "False", 0, 1, "0", "1"]}
UUID = {"type": "string", "maxLength": 255}
UUID_OR_NULL = {"type": ["string", "null"], "maxLength": 255}
IP_OR_NULL = {"type": ["string", "null"], "maxLength": 64}
STRINGS = {"type": "array", "items": TEXT, "maxItems": 1000}
LENGTH = {"type": ["integer", "null"], "minimum": 0, "maximum": 128}
INTEGER = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]{1,10}$"}]}
FIXED_IPS = _list_of({"subnet_id": UUID_OR_NULL, "ip_address": IP_OR_NULL}, [])
DHCP_OPTIONS = _list_of({
    "opt_name": {"type": "string", "minLength": 1, "maxLength": 64}, "opt_value": {"type": ["string", "null"]},
    "ip_version": {"enum": [4, 6, "4", "6"]},
}, ["opt_name"])  # fmt: skip
ROUTES = _list_of({"destination": TEXT, "nexthop": TEXT}, ["destination", "nexthop"])


def boolean(name: str, value: Any) -> bool:
    """True or False as Neutron understands them."""
    return value in (True, 1, "true", "True", "1")


def number(name: str, value: Any) -> int:
    """A whole number, also as text."""
    return int(value)


def _zones(name: str, value: Any) -> list[str]:
    return list(value)


def _bool(default: bool = False, column: str = "", **where: bool) -> Attribute:
    return Attribute(BOOL, default=default, check=boolean, column=column, **where)


_NAME = {"name": Attribute(TEXT, default=""), "description": Attribute(TEXT, default="")}
_PROJECT = {"project_id": Attribute(TEXT, put=False)}
_HINTS = {"availability_zone_hints": Attribute(STRINGS, put=False, default=[], check=_zones)}
_MODE = {"enum": ["dhcpv6-stateful", "dhcpv6-stateless", "slaac", None]}
GATEWAY = {
    "type": ["object", "null"], "additionalProperties": False,
    "properties": {"network_id": UUID, "enable_snat": BOOL, "external_fixed_ips": FIXED_IPS},
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """A resource's requests."""

    singular: str
    plural: str
    attributes: dict[str, Attribute]
    read_only: frozenset[str] = frozenset()
    schema: Schema = field(init=False)

    def __post_init__(self) -> None:
        properties = {name: attribute.schema for name, attribute in self.attributes.items()}
        object.__setattr__(self, "schema", Schema({"type": "object", "properties": properties}))

    def items(self, body: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
        """The objects of a create request, and whether it is a bulk one."""
        if isinstance(many := body.get(self.plural), list):
            for item in many:
                if not isinstance(item, dict):
                    raise faults.invalid(f"Invalid input for '{self.plural}': expecting a list of objects.")
            if not many:
                raise faults.invalid("Resources required")
            return many, True
        return [self.one(body)], False

    def one(self, body: dict[str, Any]) -> dict[str, Any]:
        """The object of a request."""
        if not isinstance(found := body.get(self.singular), dict):
            raise faults.invalid(f"Unable to find '{self.singular}' in request body")
        return found

    def take(self, item: dict[str, Any], *, create: bool) -> dict[str, Any]:
        """The object's attributes, checked and normalised; 400 as Neutron refuses. Defaults are not filled in."""
        item = dict(item)
        if "tenant_id" in item:
            tenant = item.pop("tenant_id")
            if item.setdefault("project_id", tenant) != tenant:
                raise faults.invalid("'project_id' and 'tenant_id' do not match")
        known = self.attributes.keys()
        if unknown := [name for name in item if name not in known and name not in self.read_only]:
            raise faults.invalid(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
        for name in item:
            attribute = self.attributes.get(name)
            if create and (attribute is None or not attribute.post):
                raise faults.invalid(f"Attribute '{name}' not allowed in POST")
            if not create and (attribute is None or not attribute.put):
                raise faults.invalid(f"Cannot update read-only attribute {name}")
        if create:
            for name, attribute in self.attributes.items():
                if attribute.required and name not in item:
                    raise faults.invalid(f"Failed to parse request. Required attribute '{name}' not specified")
        try:
            self.schema.check(item)
        except BadRequest as error:
            raise faults.invalid(error.message) from None
        return {name: self._value(name, value) for name, value in item.items()}

    def _value(self, name: str, value: Any) -> Any:
        check = self.attributes[name].check
        return check(name, value) if check else value

    def is_default(self, name: str, value: Any) -> bool:
        """Whether a request says what would be so anyway."""
        return bool(self.attributes[name].default == value)


_COMMON = frozenset({"id", "status", "created_at", "updated_at", "revision_number", "tags"})
BODIES = {
    "network": Body("network", "networks", _NAME | _PROJECT | _HINTS | {
        "admin_state_up": _bool(True), "shared": _bool(), "router:external": _bool(column="external"),
        "is_default": _bool(), "mtu": Attribute(INTEGER, check=number), "port_security_enabled": _bool(True),
        "dns_domain": Attribute(TEXT, default="", check=dns_name),
        "provider:network_type": Attribute({"type": ["string", "null"]}, column="network_type"),
        "provider:physical_network": Attribute({"type": ["string", "null"]}, column="physical_network"),
        "provider:segmentation_id": Attribute({"anyOf": [INTEGER, {"type": "null"}]}, column="segmentation_id",
                                              check=lambda _name, value: None if value is None else int(value)),
    }, _COMMON | {"subnets", "availability_zones"}),
    "subnet": Body("subnet", "subnets", _NAME | _PROJECT | {
        "network_id": Attribute(UUID, put=False, required=True),
        "ip_version": Attribute({"enum": [4, 6, "4", "6"]}, put=False, required=True, check=number),
        "cidr": Attribute(IP_OR_NULL, put=False, check=cidr), "gateway_ip": Attribute(IP_OR_NULL, check=ip),
        "enable_dhcp": _bool(True), "subnetpool_id": Attribute(UUID_OR_NULL, put=False),
        "use_default_subnetpool": _bool(put=False), "prefixlen": Attribute(LENGTH, put=False),
        "allocation_pools": Attribute(_list_of({"start": TEXT, "end": TEXT}, ["start", "end"]), check=_each(_pool)),
        "dns_nameservers": Attribute({"type": ["array", "null"], "items": TEXT, "maxItems": 20}, check=_each(ip)),
        "host_routes": Attribute(ROUTES, check=_each(_route)),
        "ipv6_ra_mode": Attribute(_MODE, put=False), "ipv6_address_mode": Attribute(_MODE, put=False),
    }, _COMMON),
    "subnetpool": Body("subnetpool", "subnetpools", _NAME | _PROJECT | {
        "prefixes": Attribute({"type": "array", "items": TEXT, "minItems": 1, "maxItems": 1000}, required=True,
                              check=_each(cidr)),
        "min_prefixlen": Attribute(LENGTH), "max_prefixlen": Attribute(LENGTH), "default_prefixlen": Attribute(LENGTH),
        "default_quota": Attribute({"type": ["integer", "null"], "minimum": 0, "maximum": 2**31 - 1}),
        "shared": _bool(put=False), "is_default": _bool(),
    }, _COMMON | {"ip_version", "address_scope_id"}),
    "port": Body("port", "ports", _NAME | _PROJECT | {
        "network_id": Attribute(UUID, put=False, required=True), "admin_state_up": _bool(True),
        "mac_address": Attribute(TEXT, check=mac), "fixed_ips": Attribute(FIXED_IPS, check=_fixed_ips),
        "device_id": Attribute(TEXT, default=""), "device_owner": Attribute(TEXT, default=""),
        "port_security_enabled": _bool(True), "security_groups": Attribute(
            {"type": ["array", "null"], "items": UUID, "maxItems": 1000}),
        "allowed_address_pairs": Attribute(
            _list_of({"ip_address": TEXT, "mac_address": {"type": ["string", "null"]}}, ["ip_address"]),
            check=_each(_pair), default=[]),
        "binding:host_id": Attribute({"type": ["string", "null"], "maxLength": 255}, column="host", default=""),
        "binding:profile": Attribute({"type": ["object", "null"]}, column="profile", default={}),
        "binding:vnic_type": Attribute({"enum": ["normal"]}, column="vnic_type", default="normal"),
        "dns_name": Attribute(TEXT, default="", check=dns_name), "extra_dhcp_opts": Attribute(DHCP_OPTIONS, default=[]),
    }, _COMMON | {"binding:vif_type", "binding:vif_details", "dns_assignment"}),
    "router": Body("router", "routers", _NAME | _PROJECT | _HINTS | {
        "admin_state_up": _bool(True), "external_gateway_info": Attribute(GATEWAY),
        "routes": Attribute(ROUTES, post=False, check=_each(_route)),
    }, _COMMON | {"availability_zones"}),
    "floatingip": Body("floatingip", "floatingips", _PROJECT | {
        "description": Attribute(TEXT, default=""), "floating_network_id": Attribute(UUID, put=False, required=True),
        "floating_ip_address": Attribute(IP_OR_NULL, put=False, check=ip),
        "subnet_id": Attribute(UUID_OR_NULL, put=False), "port_id": Attribute(UUID_OR_NULL),
        "fixed_ip_address": Attribute(IP_OR_NULL, check=ip),
        "dns_name": Attribute(TEXT, put=False, default="", check=dns_name),
        "dns_domain": Attribute(TEXT, put=False, default="", check=dns_name),
    }, _COMMON | {"router_id"}),
    "security_group": Body("security_group", "security_groups", _NAME | _PROJECT | {"stateful": _bool(True)},
                           _COMMON | {"security_group_rules", "shared"}),
    "security_group_rule": Body("security_group_rule", "security_group_rules", _PROJECT | {
        "description": Attribute(TEXT, put=False, default=""),
        "security_group_id": Attribute(UUID, put=False, required=True),
        "direction": Attribute({"enum": ["ingress", "egress"]}, put=False, required=True),
        "ethertype": Attribute({"type": "string"}, put=False, default="IPv4"),
        "protocol": Attribute({"type": ["string", "integer", "null"]}, put=False),
        "port_range_min": Attribute({"type": ["integer", "string", "null"]}, put=False),
        "port_range_max": Attribute({"type": ["integer", "string", "null"]}, put=False),
        "remote_ip_prefix": Attribute(IP_OR_NULL, put=False), "remote_group_id": Attribute(UUID_OR_NULL, put=False),
    }, _COMMON | {"normalized_cidr"}),
}  # fmt: skip
