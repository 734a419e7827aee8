"""Networks and taps on a host: a bridge a network, a VXLAN device to the other hosts, a tap a guest's port."""

from __future__ import annotations

from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.network import names
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import (
    Link,
    Netlink,
    disable_ipv6,
    ipv6_disabled,
)

VXLAN_PORT = 4789
_BRIDGE_OPTIONS = {"stp_state": 0, "forward_delay": 0, "mcast_snooping": 0}


class NetworkPlan:
    """A network's desired state on this host, checked."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.id = names.uuid(arguments["id"])
        self.present = arguments["state"] == "present"
        self.is_flat = arguments["type"] == "flat"
        self.mtu: int = arguments["mtu"]
        physical = arguments["physical_bridge"]
        self.bridge = names.device(arguments["bridge"] or (physical if self.is_flat and physical else ""))
        if not self.is_flat and not names.BRIDGE_PATTERN.fullmatch(self.bridge):
            raise names.Unusable(
                f"The bridge of a tenant network is named brq and the id's first 11 characters, not {self.bridge!r}."
            )
        if self.is_flat and physical not in (None, self.bridge):
            raise names.Unusable(f"A flat network uses the host's own bridge {physical}, not {self.bridge}.")
        self.vxlan: str | None = None
        self.vni = arguments["vni"]
        self.local = names.address(arguments["tunnel_ip"]) if arguments["tunnel_ip"] else None
        if arguments["type"] == "vxlan":
            if not self.vni or not 1 <= self.vni <= 16777215:
                raise names.Unusable("A VXLAN network needs a vni from 1 to 16777215.")
            if self.local:
                self.vxlan = f"vxlan-{self.vni}"
        self.peers = sorted({names.address(peer) for peer in arguments["peers"]} - {self.local}) if self.vxlan else []

    def link_names(self) -> list[str]:
        """The links that carrying this out looks at."""
        return [self.bridge, *([f"vxlan-{self.vni}"] if self.vni else [])]

    def desired(self) -> dict[str, Any] | None:
        """What shall be, in the form of :func:`observe_network`."""
        if not self.present:
            return None
        vxlan = None
        if self.vxlan:
            vxlan = {
                "name": self.vxlan,
                "vni": self.vni,
                "local": self.local,
                "port": VXLAN_PORT,
                "learning": 0,
                "bridge": self.bridge,
                "mtu": self.mtu,
                "up": True,
                "ipv6_disabled": True,
                "peers": self.peers,
            }
        return {
            "bridge": {"name": self.bridge, **_BRIDGE_OPTIONS, "mtu": self.mtu, "up": True, "ipv6_disabled": True},
            "vxlan": vxlan,
            "taps": [],
        }


def _peer_key(link: Link, family_key: str) -> Any:
    return link.data.get(family_key) or link.data.get(f"{family_key}6")


def observe_network(netlink: Netlink, plan: NetworkPlan) -> dict[str, Any] | None:
    """What is there of a tenant network; None when nothing is. Taps count only for a network that shall go."""
    bridge = netlink.link(plan.bridge)
    vxlan = netlink.link(f"vxlan-{plan.vni}") if plan.vni else None
    if vxlan is not None and not plan.present and netlink.name_of(vxlan.master_index) not in (plan.bridge, None):
        vxlan = None  # The VNI belongs to another network by now.
    if bridge is None and vxlan is None:
        return None
    seen_bridge = bridge and {
        "name": bridge.name,
        **{option: bridge.data.get(option, 0) for option in _BRIDGE_OPTIONS},
        "mtu": bridge.mtu,
        "up": bridge.up,
        "ipv6_disabled": ipv6_disabled(bridge.name),
    }
    seen_vxlan = vxlan and {
        "name": vxlan.name,
        "vni": vxlan.data.get("id"),
        "local": _peer_key(vxlan, "local"),
        "port": vxlan.data.get("port"),
        "learning": vxlan.data.get("learning"),
        "bridge": netlink.name_of(vxlan.master_index),
        "mtu": vxlan.mtu,
        "up": vxlan.up,
        "ipv6_disabled": ipv6_disabled(vxlan.name),
        "peers": netlink.flood_peers(vxlan.name),
    }
    taps = [] if plan.present or bridge is None else leftover_taps(netlink, bridge)
    return {"bridge": seen_bridge, "vxlan": seen_vxlan, "taps": taps}


def leftover_taps(netlink: Netlink, bridge: Link) -> list[str]:
    """Our guests' taps that still hang on a bridge."""
    return sorted(
        link.name
        for link in netlink.links().values()
        if link.master_index == bridge.index and link.kind == "tun" and names.TAP_PATTERN.fullmatch(link.name)
    )


def apply_network(netlink: Netlink, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    """Bring a tenant network from one state to the other."""
    before = before or {"bridge": None, "vxlan": None, "taps": []}
    if after is None:
        for name in before["taps"]:
            netlink.delete_link(name)
        for part in ("vxlan", "bridge"):
            if before[part]:
                netlink.delete_link(before[part]["name"])
        return
    _apply_bridge(netlink, before["bridge"], after["bridge"])
    if after["vxlan"] is None:
        if before["vxlan"]:
            netlink.delete_link(before["vxlan"]["name"])
    else:
        _apply_vxlan(netlink, before["vxlan"], after["vxlan"])


def _apply_bridge(netlink: Netlink, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    if before == after:
        return
    name = after["name"]
    options = {f"br_{option}": after[option] for option in _BRIDGE_OPTIONS}
    if before is None:
        netlink.add_link(name, "bridge", mtu=after["mtu"], **options)
    elif any(before[option] != after[option] for option in _BRIDGE_OPTIONS):
        # The kernel takes a forward delay of 0 only where no spanning tree runs.
        netlink.set_link(name, kind="bridge", br_stp_state=after["stp_state"])
        netlink.set_link(name, kind="bridge", **options)
    disable_ipv6(name)
    netlink.set_link(name, mtu=after["mtu"], state="up")


def _apply_vxlan(netlink: Netlink, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    name = after["name"]
    fixed = ("vni", "local", "port", "learning")
    if before and any(before[key] != after[key] for key in fixed):
        netlink.delete_link(name)
        before = None
    if before is None:
        local = "vxlan_local6" if names.is_ipv6(after["local"]) else "vxlan_local"
        netlink.add_link(
            name,
            "vxlan",
            vxlan_id=after["vni"],
            vxlan_port=after["port"],
            vxlan_learning=after["learning"],
            **{local: after["local"]},
        )
        before = {"peers": []}
    if {**before, "peers": None} != {**after, "peers": None}:
        disable_ipv6(name)
        netlink.set_link(name, mtu=after["mtu"], master=netlink.index(after["bridge"]), state="up")
    for peer in sorted(set(after["peers"]) - set(before["peers"])):
        netlink.add_flood_peer(name, peer)
    for peer in sorted(set(before["peers"]) - set(after["peers"])):
        netlink.delete_flood_peer(name, peer)


class PortPlan:
    """A port's desired state on this host, checked."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.id = names.uuid(arguments["id"])
        self.present = arguments["state"] == "present"
        self.is_tap = arguments["kind"] == "tap"
        self.tap = names.device(arguments["tap"])
        if not names.TAP_PATTERN.fullmatch(self.tap):
            raise names.Unusable(f"A port's device is named tap and the id's first 11 characters, not {self.tap!r}.")
        self.bridge = names.device(arguments["bridge"]) if arguments["bridge"] else ""
        self.mac = names.host_side_mac(arguments["mac"]) if arguments["mac"] else ""
        self.mtu: int = arguments["mtu"]
        if self.present and not self.bridge:
            raise names.Unusable("A present port needs its bridge.")
        if self.present and self.is_tap and not self.mac:
            raise names.Unusable("A guest's port needs its mac.")

    def desired(self) -> dict[str, Any] | None:
        """What shall be, in the form of :func:`observe_port`."""
        if not self.present:
            return None
        state = {"name": self.tap, "bridge": self.bridge, "mtu": self.mtu, "up": True, "ipv6_disabled": True}
        return {**state, "kind": "tun", "mac": self.mac} if self.is_tap else state


def observe_port(netlink: Netlink, plan: PortPlan) -> dict[str, Any] | None:
    """What is there of a port; None when nothing is."""
    link = netlink.link(plan.tap)
    if link is None:
        return None
    if plan.is_tap and link.kind != "tun":
        raise names.Unusable(
            f"{plan.tap} is there but is no tap ({link.kind or 'unknown kind'}): remove it with ip link del {plan.tap}."
        )
    state = {
        "name": link.name,
        "bridge": netlink.name_of(link.master_index),
        "mtu": link.mtu,
        "up": link.up,
        "ipv6_disabled": ipv6_disabled(link.name),
    }
    return {**state, "kind": link.kind, "mac": link.mac} if plan.is_tap else state


def apply_port(netlink: Netlink, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    """Bring a port from one state to the other."""
    if after is None:
        if before:
            netlink.delete_link(before["name"])
        return
    name = after["name"]
    if before is None:
        netlink.add_tap(name)
    disable_ipv6(name)
    attributes: dict[str, Any] = {"mtu": after["mtu"], "master": netlink.index(after["bridge"]), "state": "up"}
    if "mac" in after and (before is None or before["mac"] != after["mac"]):
        attributes["address"] = after["mac"]
    netlink.set_link(name, **attributes)


def unlisted(netlink: Netlink, bridges: set[str], vxlans: set[str], taps: set[str]) -> list[str]:
    """Our taps, VXLAN devices and bridges that are not listed, in the order in which they can be removed."""
    found: list[list[str]] = [[], [], []]
    for link in netlink.links().values():
        if link.kind == "tun" and names.TAP_PATTERN.fullmatch(link.name) and link.name not in taps:
            found[0].append(link.name)
        elif link.kind == "vxlan" and names.VXLAN_PATTERN.fullmatch(link.name) and link.name not in vxlans:
            found[1].append(link.name)
        elif link.kind == "bridge" and names.BRIDGE_PATTERN.fullmatch(link.name) and link.name not in bridges:
            found[2].append(link.name)
    return [name for group in found for name in sorted(group)]
