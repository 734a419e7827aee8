"""A router: a namespace with an interface on each network, forwarding between them, address translation outwards."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import (
    LISTENERS_DIR,
    NETWORK_DIR,
    read_file,
    read_json,
    remove_file,
    write_file,
    write_json,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network import (
    announce,
    conntrack,
    dhcp,
    names,
    namespaces,
    nat,
    nftables,
    radvd,
    veth,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import Netlink, Route

ROUTERS_DIR = f"{NETWORK_DIR}/routers"
_INSIDE, _OUTSIDE = "qr-", "qg-"
# arp_ignore, arp_announce: an interface answers for its own addresses only, in its own name.
_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/arp_ignore": "1",
    "net/ipv4/conf/all/arp_announce": "2",
    "net/ipv4/conf/all/rp_filter": "0",
}
_IPV6_FORWARDING = "net/ipv6/conf/all/forwarding"


class RouterPlan:
    """A router's desired state on this host, checked."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.id = names.uuid(arguments["id"])
        self.present = arguments["state"] == "present"
        self.namespace = f"qrouter-{self.id}"
        self.listener_path = f"{LISTENERS_DIR}/{self.id}.json"
        self.marks_path = f"{ROUTERS_DIR}/{self.id}.json"
        self.tables = nftables.WholeTables(nat.TABLES, f"{ROUTERS_DIR}/{self.id}.listing.json", self.namespace)
        if not self.present:
            return
        self.metadata: bool = arguments["metadata"]
        self.floating = sorted(
            (_ipv4(floating["floating_ip"]), _ipv4(floating["fixed_ip"])) for floating in arguments["floating_ips"]
        )
        if len(dict(self.floating)) != len(self.floating):
            raise names.Unusable("A floating IP is listed twice.")
        self.interfaces = [_interface(_INSIDE, interface, []) for interface in arguments["interfaces"]]
        gateway = arguments["gateway"]
        self.gateway: veth.Interface | None = None
        own_address: str | None = None
        routes: list[Route] = []
        if gateway:
            self.gateway = _interface(_OUTSIDE, gateway, [f"{floating_ip}/32" for floating_ip, _ in self.floating])
            own = [names.interface_address(address).partition("/")[0] for address in gateway["addresses"]]
            own_address = next((address for address in own if not names.is_ipv6(address)), None)
            self.interfaces.append(self.gateway)
            for nexthop in map(names.address, gateway["gateway_ips"]):
                routes.append(Route("::/0" if names.is_ipv6(nexthop) else "0.0.0.0/0", nexthop, self.gateway.inner))
        elif self.floating:
            raise names.Unusable("A router without gateway has no floating IPs.")
        for route in arguments["routes"]:
            nexthop = names.address(route["nexthop"])
            routes.append(Route(names.network(route["destination"]), nexthop, self._device_towards(nexthop)))
        # As the kernel's list is sorted; one destination more than once is one route.
        self.routes = sorted(set(routes), key=lambda route: (route.destination, route.nexthop, route.device))
        self.radvd = radvd.Radvd(f"{ROUTERS_DIR}/{self.id}", self.namespace)
        self.radvd_text = radvd.render([_announcement(interface) for interface in arguments["interfaces"]])
        self.nat_text = nat.render(
            self.gateway.inner if self.gateway else None,
            own_address,
            bool(gateway and gateway["enable_snat"]),
            self.floating,
        )

    def _device_towards(self, nexthop: str) -> str:
        for interface in self.interfaces:
            for address in interface.addresses:
                if ipaddress.ip_address(nexthop) in ipaddress.ip_interface(address).network:
                    return interface.inner
        raise names.Unusable(f"The next hop {nexthop} is in no network of the router: correct the route.")

    def settings(self) -> dict[str, str]:
        """The namespace's kernel settings."""
        has_ipv6 = any(names.is_ipv6(address) for one in self.interfaces for address in one.addresses)
        return {**_SETTINGS, _IPV6_FORWARDING: "1" if has_ipv6 else "0"}

    def desired(self, remember: bool) -> dict[str, Any] | None:
        """What shall be, in the form of :func:`observe`."""
        if not self.present:
            return None
        listener = {"namespace": self.namespace, "router_id": self.id, "address": names.METADATA_ADDRESS, "port": 80}
        return {
            "namespace": True,
            "settings": self.settings(),
            "interfaces": {interface.inner: interface.desired() for interface in self.interfaces},
            "metadata_address": self.metadata,
            "routes": [_route_text(route) for route in self.routes],
            "nat": self.tables.spelled(self.nat_text, remember),
            "listener": json.dumps(listener, sort_keys=True) + "\n" if self.metadata else None,
            "radvd": radvd.Radvd.desired(self.radvd_text),
        }


def _ipv4(value: str) -> str:
    address = names.address(value)
    if names.is_ipv6(address):
        raise names.Unusable(f"Floating IPs are IPv4; {address} is not.")
    return address


def _interface(prefix: str, arguments: dict[str, Any], more_addresses: list[str]) -> veth.Interface:
    port_id = names.uuid(arguments["port_id"])
    addresses = [names.interface_address(address) for address in arguments["addresses"]]
    return veth.Interface(
        inner=f"{prefix}{port_id[:11]}",
        tap=names.tap_name(port_id),
        bridge=names.device(arguments["bridge"]),
        mac=names.mac(arguments["mac"]),
        mtu=arguments["mtu"],
        addresses=tuple(dict.fromkeys([*addresses, *more_addresses])),
    )


def _announcement(arguments: dict[str, Any]) -> radvd.Announcement:
    prefixes = [(names.network(prefix["cidr"]), prefix["mode"]) for prefix in arguments["advertised"]]
    if not all(names.is_ipv6(prefix) for prefix, _mode in prefixes):
        raise names.Unusable("Only IPv6 prefixes are advertised.")
    servers = [names.address(server) for server in arguments["dns_nameservers"]]
    device = f"{_INSIDE}{names.uuid(arguments['port_id'])[:11]}"
    return radvd.Announcement(device, arguments["mtu"], tuple(prefixes), tuple(servers))


def _route_text(route: Route) -> str:
    return f"{route.destination} via {route.nexthop} dev {route.device}"


def _tap_of(inner: str) -> str:
    return f"tap{inner[3:]}"


def observe(host: Netlink, inside: Netlink | None, plan: RouterPlan) -> dict[str, Any] | None:
    """What is there of a router; None when nothing is. ``inside`` is None when there is no namespace."""
    listener = read_file(plan.listener_path)
    if inside is None:
        marks = read_file(plan.marks_path)
        return {"namespace": False, "listener": listener, "marks": marks is not None} if listener or marks else None
    if not plan.present:
        return {"namespace": True, "listener": listener}
    interfaces = {
        name: veth.observe(host, inside, name, _tap_of(name))
        for name in sorted(inside.links())
        if name.startswith((_INSIDE, _OUTSIDE))
    }
    with namespaces.entered(plan.namespace):
        settings = {path: namespaces.read_sysctl(path) for path in plan.settings()}
    return {
        "namespace": True,
        "settings": settings,
        "interfaces": interfaces,
        "metadata_address": f"{names.METADATA_ADDRESS}/32" in inside.addresses("lo"),
        "routes": [_route_text(route) for route in inside.static_routes()],
        "nat": plan.tables.live(),
        "listener": listener,
        "radvd": plan.radvd.observe(),
    }


def apply(host: Netlink, inside: Netlink, plan: RouterPlan, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Bring a router to its desired state: first what protects (translation), last what invites (announcements)."""
    with namespaces.entered(plan.namespace):
        for path, value in after["settings"].items():
            namespaces.write_sysctl(path, value)
    inside.set_link("lo", state="up")
    _remember_cuts(plan)
    if before.get("nat") != after["nat"]:
        plan.tables.replace(plan.nat_text)
    old_interfaces = before.get("interfaces", {})
    for name in old_interfaces:
        if name not in after["interfaces"]:
            inside.delete_link(name)
            host.forget(_tap_of(name))
    for name, interface in after["interfaces"].items():
        veth.apply(host, inside, old_interfaces.get(name), interface)
    if after["metadata_address"] and not before.get("metadata_address"):
        inside.add_address("lo", f"{names.METADATA_ADDRESS}/32")
    elif before.get("metadata_address") and not after["metadata_address"]:
        inside.delete_address("lo", f"{names.METADATA_ADDRESS}/32")
    _apply_routes(inside, plan)
    _cut_remembered(plan)
    for name, interface in after["interfaces"].items():
        known = (old_interfaces.get(name) or {"addresses": []})["addresses"]
        new = [address.partition("/")[0] for address in interface["addresses"] if address not in known]
        if new:
            announce.announce(plan.namespace, name, interface["mac"], new)
    if after["listener"] is None:
        remove_file(plan.listener_path)
    elif before.get("listener") != after["listener"]:
        write_file(plan.listener_path, after["listener"], 0o600)
    _apply_radvd(plan, before.get("radvd"), after["radvd"])


def _apply_radvd(plan: RouterPlan, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    if after is None:
        if before is not None:
            plan.radvd.remove()
    elif before != after:
        plan.radvd.apply(plan.radvd_text)


def _apply_routes(inside: Netlink, plan: RouterPlan) -> None:
    existing = set(inside.static_routes())
    for route in existing - set(plan.routes):
        inside.delete_route(route.destination, route.nexthop, route.device)
    for route in plan.routes:
        if route not in existing:
            inside.add_route(route.destination, route.nexthop, route.device)


def _remember_cuts(plan: RouterPlan) -> None:
    """Write down which floating IPs' connections end, before anything changes: a killed run leaves them to the next."""
    known = read_json(plan.marks_path) or {"floating": [], "overdue": []}
    lost = {tuple(pair) for pair in known["floating"]} - set(plan.floating)
    marks = {
        "floating": [list(pair) for pair in plan.floating],
        "overdue": sorted({*known["overdue"], *(floating_ip for floating_ip, _fixed_ip in lost)}),
    }
    if marks != known:
        write_json(plan.marks_path, marks)


def _cut_remembered(plan: RouterPlan) -> None:
    marks = read_json(plan.marks_path)
    if marks and marks["overdue"]:
        for floating_ip in marks["overdue"]:
            conntrack.forget_floating_ip(plan.namespace, floating_ip)
        write_json(plan.marks_path, {**marks, "overdue": []})


def remove(host: Netlink, router_id: str) -> None:
    """Remove a router with all that it has here."""
    remove_file(f"{LISTENERS_DIR}/{router_id}.json")
    radvd.Radvd(f"{ROUTERS_DIR}/{router_id}", f"qrouter-{router_id}").remove()
    dhcp.remove_namespace(host, f"qrouter-{router_id}")
    remove_file(f"{ROUTERS_DIR}/{router_id}.listing.json")
    remove_file(f"{ROUTERS_DIR}/{router_id}.json")
