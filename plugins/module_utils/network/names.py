"""Names in the kernel, and checks of what goes into files and rules: ids, names and addresses from tenants."""

from __future__ import annotations

import ipaddress
import re

# The kernel takes 15 characters; ids are cut to 11.
TAP_PATTERN = re.compile(r"tap[0-9a-f]{8}-[0-9a-f]{2}")
BRIDGE_PATTERN = re.compile(r"brq[0-9a-f]{8}-[0-9a-f]{2}")
VXLAN_PATTERN = re.compile(r"vxlan-[0-9]{1,8}")
DHCP_NAMESPACE_PATTERN = re.compile(r"qdhcp-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
ROUTER_NAMESPACE_PATTERN = re.compile(r"qrouter-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")

METADATA_ADDRESS = "169.254.169.254"


class Unusable(ValueError):
    """An argument that cannot be carried out. The text is a sentence for the operator."""


def uuid(value: str) -> str:
    """An OpenStack id, dashed and in lower case."""
    if not _UUID.fullmatch(value):
        raise Unusable(f"{value!r} is not a dashed lower-case UUID.")
    return value


def device(value: str) -> str:
    """A network device's name."""
    if not _DEVICE.fullmatch(value):
        raise Unusable(f"{value!r} is not the name of a network device.")
    return value


def mac(value: str) -> str:
    """A MAC address in lower case with colons."""
    lowered = value.lower()
    if not _MAC.fullmatch(lowered):
        raise Unusable(f"{value!r} is not a MAC address.")
    return lowered


def host_side_mac(guest_mac: str) -> str:
    """The MAC of a tap's side on the host: with fe in front it never is the lowest, and never the guest's own."""
    return "fe" + mac(guest_mac)[2:]


def host_label(value: str) -> str:
    """A host name without domain (RFC 1123)."""
    if not _LABEL.fullmatch(value):
        raise Unusable(f"{value!r} is not a host name: letters, digits and dashes, at most 63.")
    return value.lower()


def domain(value: str) -> str:
    """A DNS domain without the dot at its end; may be empty."""
    bare = value.rstrip(".").lower()
    if bare and (len(bare) > 253 or not all(_LABEL.fullmatch(label) for label in bare.split("."))):
        raise Unusable(f"{value!r} is not a DNS domain.")
    return bare


def address(value: str) -> str:
    """An IP address in its canonical spelling."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise Unusable(f"{value!r} is not an IP address.") from error


def interface_address(value: str) -> str:
    """``address/length`` of an interface, in canonical spelling."""
    try:
        parsed = ipaddress.ip_interface(value)
    except ValueError as error:
        raise Unusable(f"{value!r} is not an address with a prefix length.") from error
    return f"{parsed.ip}/{parsed.network.prefixlen}"


def network(value: str) -> str:
    """A CIDR in canonical spelling; host bits are cut off."""
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError as error:
        raise Unusable(f"{value!r} is not a CIDR.") from error


def is_ipv6(value: str) -> bool:
    """Whether an address or CIDR is IPv6."""
    return ":" in value


def tap_name(port_id: str) -> str:
    """The bridge's side of a port."""
    return f"tap{port_id[:11]}"
