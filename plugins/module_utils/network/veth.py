"""A namespace's interface on a network: a veth pair, one end in the namespace, the other on the network's bridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.network import names, namespaces
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import (
    Netlink,
    disable_ipv6,
    ipv6_disabled,
)

# An interface of ours takes no addresses from others' advertisements, and uses its own at once.
_IPV6 = {"accept_ra": "0", "accept_dad": "0"}


@dataclass(frozen=True)
class Interface:
    """What an interface shall be. ``inner`` is its name in the namespace, ``addresses`` are address/length there."""

    inner: str
    tap: str
    bridge: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]

    def desired(self) -> dict[str, Any]:
        """What shall be, in the form of :func:`observe`."""
        return {
            "name": self.inner,
            "mac": self.mac,
            "mtu": self.mtu,
            "up": True,
            "ipv6": dict(_IPV6) if any(names.is_ipv6(address) for address in self.addresses) else None,
            "addresses": sorted(self.addresses),
            "tap": {
                "name": self.tap,
                "bridge": self.bridge,
                "mac": names.host_side_mac(self.mac),
                "mtu": self.mtu,
                "up": True,
                "ipv6_disabled": True,
            },
        }


def observe(host: Netlink, inside: Netlink | None, inner: str, tap: str) -> dict[str, Any] | None:
    """What is there of an interface; None when the pair is missing or its ends don't belong together."""
    outer_link = host.link(tap)
    inner_link = inside.link(inner) if inside else None
    if inside is None or outer_link is None or inner_link is None:
        return None
    if (outer_link.peer_index, inner_link.peer_index) != (inner_link.index, outer_link.index):
        return None
    with namespaces.entered(inside.namespace):
        ipv6 = None if ipv6_disabled(inner) else {
            name: namespaces.read_sysctl(f"net/ipv6/conf/{inner}/{name}") for name in _IPV6}
    return {
        "name": inner,
        "mac": inner_link.mac,
        "mtu": inner_link.mtu,
        "up": inner_link.up,
        "ipv6": ipv6,
        "addresses": inside.addresses(inner),
        "tap": {
            "name": tap,
            "bridge": host.name_of(outer_link.master_index),
            "mac": outer_link.mac,
            "mtu": outer_link.mtu,
            "up": outer_link.up,
            "ipv6_disabled": ipv6_disabled(tap),
        },
    }


def apply(host: Netlink, inside: Netlink, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    """Bring an interface from one state to the other."""
    if before == after:
        return
    inner, tap = after["name"], after["tap"]
    if host.link(tap["bridge"]) is None:
        raise names.Unusable(f"This host has no bridge {tap['bridge']}: run network_bridge with the network before.")
    if before is None:
        # Half a pair can be left of a killed run, or of a namespace that someone removed.
        if host.link(tap["name"]) is not None:
            host.delete_link(tap["name"])
        inside.forget(inner)
        if inside.link(inner) is not None:
            inside.delete_link(inner)
        host.add_link(
            tap["name"],
            "veth",
            address=tap["mac"],
            mtu=tap["mtu"],
            peer={"ifname": inner, "address": after["mac"], "mtu": after["mtu"], "net_ns_fd": inside.namespace},
        )
        inside.forget(inner)
    if before is None or before["tap"] != tap:
        disable_ipv6(tap["name"])
        host.set_link(tap["name"], address=tap["mac"], mtu=tap["mtu"], master=host.index(tap["bridge"]), state="up")
    with namespaces.entered(inside.namespace):
        for name, value in (after["ipv6"] or {}).items():
            namespaces.write_sysctl(f"net/ipv6/conf/{inner}/{name}", value)
        disable_ipv6(inner, after["ipv6"] is None)
    inside.set_link(inner, address=after["mac"], mtu=after["mtu"], state="up")
    existing = set(inside.addresses(inner))
    for address in sorted(set(after["addresses"]) - existing):
        inside.add_address(inner, address)
    for address in sorted(existing - set(after["addresses"])):
        inside.delete_address(inner, address)
