"""Security group rules as nftables matches."""

from __future__ import annotations

from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.network import names

# The names that OpenStack's network API knows, and their IANA numbers.
PROTOCOL_NUMBERS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58, "igmp": 2,
    "ipip": 4, "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89,
    "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
_ICMP, _ICMPV6 = 1, 58
_WITH_PORTS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}


def protocol_number(protocol: str | None, is_ipv6: bool) -> int | None:
    """A protocol's number, None for any. ``icmp`` means ICMPv6 where the rule is for IPv6, as in OpenStack."""
    if protocol is None or protocol.lower() in ("", "any", "0"):
        return None
    text = protocol.lower()
    number = PROTOCOL_NUMBERS[text] if text in PROTOCOL_NUMBERS else int(text) if text.isdecimal() else 256
    if number > 255:
        raise names.Unusable(
            f"{protocol!r} is not an IP protocol: give a name that OpenStack knows, or a number from 0 to 255."
        )
    return _ICMPV6 if is_ipv6 and number == _ICMP else number


def set_name(group_id: str, is_ipv6: bool) -> str:
    """The nftables set with a security group's addresses."""
    return f"group{'6' if is_ipv6 else '4'}-{names.uuid(group_id)}"


def match_of(rule: dict[str, Any], known_groups: set[str]) -> str:
    """A rule as an nftables statement that accepts what it allows."""
    is_ipv6 = rule["ethertype"] == "IPv6"
    ip, side = ("ip6" if is_ipv6 else "ip"), ("saddr" if rule["direction"] == "ingress" else "daddr")
    words = [f"ether type {ip}"]
    if rule["remote_ip_prefix"]:
        prefix = names.network(rule["remote_ip_prefix"])
        if names.is_ipv6(prefix) != is_ipv6:
            raise names.Unusable(f"The rule is for {rule['ethertype']}, its remote_ip_prefix {prefix} is not.")
        if not prefix.endswith("/0"):
            words.append(f"{ip} {side} {prefix}")
    if rule["remote_group"]:
        if rule["remote_group"] not in known_groups:
            raise names.Unusable(f"The rule names the group {rule['remote_group']}, which address_sets does not have.")
        words.append(f"{ip} {side} @{set_name(rule['remote_group'], is_ipv6)}")
    words += _protocol_words(rule, protocol_number(rule["protocol"], is_ipv6))
    return " ".join([*words, "accept"])


def _protocol_words(rule: dict[str, Any], number: int | None) -> list[str]:
    low, high = rule["port_range_min"], rule["port_range_max"]
    if number is None:
        if low is not None or high is not None:
            raise names.Unusable("A rule with a port range needs a protocol.")
        return []
    if number in (_ICMP, _ICMPV6):
        family = "icmp" if number == _ICMP else "icmpv6"
        if low is None:
            return [f"meta l4proto {number}"]
        for value in (low, high):
            if value is not None and not 0 <= value <= 255:
                raise names.Unusable(f"ICMP types and codes go from 0 to 255, not {value}.")
        return [f"{family} type {low}", *([f"{family} code {high}"] if high is not None else [])]
    if low is None and high is None:
        return [f"meta l4proto {number}"]
    if number not in _WITH_PORTS:
        raise names.Unusable(f"The protocol with number {number} has no ports.")
    low = high if low is None else low
    high = low if high is None else high
    if not 0 <= low <= high <= 65535:
        raise names.Unusable(f"The port range {low} to {high} is not one from 0 to 65535.")
    return [f"{_WITH_PORTS[number]} dport {low if low == high else f'{low}-{high}'}"]
