"""Extra DHCP options of ports (Neutron's extra_dhcp_opt): which may be named, and how an update changes them."""

from __future__ import annotations

import re
from typing import Any

from api.network import faults

MAX_OPTIONS = 50
# What a server's address, its network or the lease itself are made of is not a tenant's to change.
_NAMES = {
    4: frozenset({
        "all-subnets-local", "arp-timeout", "boot-file-size", "bootfile-name", "classless-static-route", "client-arch",
        "default-ttl", "dns-server", "domain-name", "domain-search", "ethernet-encap", "extension-path",
        "ip-forward-enable", "irc-server", "log-server", "lpr-server", "max-datagram-reassembly", "mobile-ip-home",
        "mtu", "netbios-dd", "netbios-nodetype", "netbios-ns", "netbios-scope", "nis+-domain", "nis+-server",
        "nis-domain", "nis-server", "nntp-server", "non-local-source-routing", "ntp-server", "policy-filter",
        "pop3-server", "posix-timezone", "root-path", "router", "router-discovery", "router-solicitation",
        "server-ip-address", "sip-server", "smtp-server", "static-route", "swap-server", "tcp-keepalive", "tcp-ttl",
        "tftp-server", "tftp-server-address", "time-offset", "trailer-encapsulation", "tzdb-timezone", "user-class",
        "vendor-class", "x-windows-dm", "x-windows-fs",
    }),
    6: frozenset({
        "bootfile-param", "bootfile-url", "dns-server", "domain-search", "information-refresh-time", "nis+-domain",
        "nis+-server", "nis-domain", "nis-server", "ntp-server", "posix-timezone", "sip-server", "sip-server-domain",
        "sntp-server", "tzdb-timezone",
    }),
}  # fmt: skip
_RESERVED_NUMBERS = {0, 1, 50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 82, 255}
# dnsmasq's options file has one option a line; its own words end at a comma, which a list of addresses needs.
_VALUE = re.compile(r"[\x20-\x7e]{1,255}")


def merged(had: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The options after a request: each is set, or removed when its value is null; others stay as they were."""
    kept = {(item["opt_name"], item["ip_version"]): item for item in had}
    named: set[tuple[str, int]] = set()
    for item in wanted:
        name, version = item["opt_name"], int(item.get("ip_version", 4))
        if (name, version) in named:
            raise faults.invalid(f"Invalid input for extra_dhcp_opts. Reason: Duplicate DHCP option '{name}'.")
        named.add((name, version))
        kept.pop((name, version), None)
        if (value := item.get("opt_value")) is not None:
            _check(name, version, value)
            kept[name, version] = {"opt_name": name, "opt_value": value, "ip_version": version}
    if len(kept) > MAX_OPTIONS:
        raise faults.invalid(f"Invalid input for extra_dhcp_opts. Reason: at most {MAX_OPTIONS} options are possible.")
    return list(kept.values())


def _check(name: str, version: int, value: str) -> None:
    numbered = re.fullmatch(r"[0-9]{1,3}", name) and int(name) < 255 and int(name) not in _RESERVED_NUMBERS
    if not numbered and name not in _NAMES[version]:
        raise faults.invalid(f"Invalid input for extra_dhcp_opts. Reason: '{name}' is no DHCPv{version} option that "
                             "can be set.")  # fmt: skip
    if not _VALUE.fullmatch(value):
        raise faults.invalid(f"Invalid input for extra_dhcp_opts. Reason: the value of '{name}' is not a text of 1 to "
                             "255 printable ASCII characters.")  # fmt: skip
