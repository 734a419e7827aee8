"""What a security group rule may say (Neutron's checks), and its normal form."""

from __future__ import annotations

import ipaddress
from typing import Any

from api.network import faults

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112}  # fmt: skip
_IPV6_ONLY = {"ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route"}
_ICMP = {"icmp", "icmpv6", "ipv6-icmp", "1", "58"}
_WITH_PORTS = ("tcp", "udp", "udplite", "sctp", "dccp")
_ETHERTYPES = {"ipv4": "IPv4", "ipv6": "IPv6"}


def normalise(values: dict[str, Any]) -> dict[str, Any]:
    """The rule as it is stored; 400 with Neutron's exception for what cannot be."""
    rule = dict(values)
    rule["ethertype"] = _ethertype(rule.get("ethertype") or "IPv4")
    rule["protocol"] = protocol = _protocol(rule.get("protocol"))
    _remote(rule)
    if protocol in _IPV6_ONLY and rule["ethertype"] == "IPv4":
        message = f"Invalid ethertype {rule['ethertype']} for protocol {protocol}"
        raise faults.invalid_input(message, "SecurityGroupEthertypeConflictWithProtocol")
    low = rule["port_range_min"] = _number(rule.get("port_range_min"))
    high = rule["port_range_max"] = _number(rule.get("port_range_max"))
    if low is None and high is None:
        return rule
    if protocol is None:
        message = "Must also specify protocol if port range is given"
        raise faults.invalid_input(message, "SecurityGroupProtocolRequiredWithPorts")
    if protocol in _ICMP:
        _icmp(low, high)
    elif _named(protocol) in _WITH_PORTS:
        _ports(low, high)
    else:
        raise faults.invalid_input(
            f"Ports cannot be specified for protocol {protocol}. Ports are only supported for {', '.join(_WITH_PORTS)}",
            "SecurityGroupInvalidProtocolForPort",
        )
    return rule


def _ethertype(text: str) -> str:
    try:
        return _ETHERTYPES[text.lower()]
    except KeyError:
        raise faults.invalid_input(
            f"Security group rule for ethertype '{text}' not supported. Allowed values are ['IPv4', 'IPv6']",
            "SecurityGroupRuleInvalidEtherType",
        ) from None


def _protocol(value: Any) -> str | None:
    if value is None or value == "":
        return None
    text = str(value).lower()
    if text in ("any", "0"):
        return None
    if text in PROTOCOLS:
        return "ipv6-icmp" if text == "icmpv6" else text
    if text.isascii() and text.isdigit() and int(text) <= 255:
        return str(int(text))
    raise faults.invalid_input(
        f"Security group rule protocol {value} not supported. Only protocol values {sorted(PROTOCOLS)} and integer "
        "representations [0 to 255] are supported", "SecurityGroupRuleInvalidProtocol",
    )  # fmt: skip


def _named(protocol: str) -> str:
    if protocol.isdigit():
        return next((name for name, number in PROTOCOLS.items() if number == int(protocol)), protocol)
    return protocol


def _remote(rule: dict[str, Any]) -> None:
    prefix, group = rule.get("remote_ip_prefix"), rule.get("remote_group_id")
    if prefix and group:
        raise faults.invalid_input(
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided",
            "SecurityGroupMultipleRemoteEntites",
        )
    if not prefix:
        rule["remote_ip_prefix"] = None
        return
    try:
        network = ipaddress.ip_network(prefix, strict=False)
    except ValueError:
        raise faults.bad("InvalidCIDR", f"Invalid CIDR {prefix} given as IP prefix.") from None
    if rule["ethertype"] != f"IPv{network.version}":
        message = f"Conflicting value ethertype {rule['ethertype']} for CIDR {prefix}"
        raise faults.invalid_input(message, "SecurityGroupRuleParameterConflict")
    rule["remote_ip_prefix"] = str(network)


def _number(value: Any) -> int | None:
    if value is None or value == "":
        return None
    try:
        return int(value)
    except ValueError:
        message = f"Invalid value for port {value}"
        raise faults.invalid_input(message, "SecurityGroupInvalidPortValue") from None


def _icmp(kind: int | None, code: int | None) -> None:
    for attribute, name, value in (("port_range_min", "type", kind), ("port_range_max", "code", code)):
        if value is not None and not 0 <= value <= 255:
            message = f"Invalid value for ICMP {name} ({attribute}) {value}. It must be 0 to 255"
            raise faults.invalid_input(message, "SecurityGroupInvalidIcmpValue")
    if kind is None and code is not None:
        message = f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing"
        raise faults.invalid_input(message, "SecurityGroupMissingIcmpType")


def _ports(low: int | None, high: int | None) -> None:
    for value in (low, high):
        if value is not None and not 1 <= value <= 65535:
            raise faults.invalid_input(f"Invalid value for port {value}", "SecurityGroupInvalidPortValue")
    if low is None or high is None or low > high:
        message = "For TCP/UDP protocols, port_range_min must be <= port_range_max"
        raise faults.invalid_input(message, "SecurityGroupInvalidPortRange")
