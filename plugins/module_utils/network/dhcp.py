"""A network's DHCP, DNS and metadata namespace."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import (
    LISTENERS_DIR,
    read_file,
    remove_file,
    write_file,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.network import dnsmasq, leases, names, namespaces, veth
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import Netlink

_DEFAULT = "0.0.0.0/0"
_IPV6_LENGTH = 64
_OPTION_NAME = re.compile(r"[a-zA-Z0-9+-]{1,64}")
_OPTION_VALUE = re.compile(r"[\x20-\x7e]{1,255}")


class DhcpPlan:
    """A network's desired DHCP on this host, checked. Every text that reaches a file of dnsmasq's is checked here."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.id = names.uuid(arguments["id"])
        self.present = arguments["state"] == "present"
        self.namespace = f"qdhcp-{self.id}"
        self.listener_path = f"{LISTENERS_DIR}/{self.id}.json"
        self.tap: str | None = None
        port = arguments["port"]
        if port is None:
            if self.present:
                raise names.Unusable("A present network needs its DHCP port.")
            return
        port_id = names.uuid(port["id"])
        self.inner, tap = f"ns-{port_id[:11]}", names.tap_name(port_id)
        self.tap = tap
        if not self.present:
            return
        addresses = [names.interface_address(address) for address in port["addresses"]]
        self.own_addresses = [address.partition("/")[0] for address in addresses]
        self.metadata: bool = arguments["metadata"]
        if self.metadata:
            addresses.append(f"{names.METADATA_ADDRESS}/32")
        self.mtu: int = arguments["mtu"]
        self.domain = names.domain(arguments["domain"] or "")
        self.upstream_dns = [names.address(server) for server in arguments["upstream_dns"]]
        self.interface = veth.Interface(
            self.inner,
            tap,
            names.device(arguments["bridge"] or ""),
            names.mac(port["mac"]),
            self.mtu,
            tuple(addresses),
        )
        self.subnets = [_subnet(subnet) for subnet in arguments["subnets"] if subnet["enable_dhcp"]]
        gateways = (subnet["gateway_ip"] for subnet in self.subnets if not names.is_ipv6(subnet["cidr"]))
        self.gateway = next((gateway for gateway in gateways if gateway), None)
        self.hosts = sorted((_host(host) for host in arguments["hosts"]), key=lambda host: (host["ip"], host["mac"]))

    def leases(self, host: dict[str, Any]) -> bool:
        """Whether a host's address is given out by DHCP here."""
        subnet = next((subnet for subnet in self.subnets if subnet["id"] == host["subnet_id"]), None)
        return subnet is not None and (not names.is_ipv6(subnet["cidr"]) or subnet["ipv6_mode"] == "dhcpv6-stateful")

    def server_of(self, address: str) -> str | None:
        """The own address in the subnet of a guest's."""
        for cidr in (ipaddress.ip_network(subnet["cidr"]) for subnet in self.subnets):
            if ipaddress.ip_address(address) in cidr:
                return next((own for own in self.own_addresses if ipaddress.ip_address(own) in cidr), None)
        return None

    def files(self) -> dict[str, str]:
        """dnsmasq's files."""
        return dnsmasq.render(self)

    def desired(self) -> dict[str, Any] | None:
        """What shall be, in the form of :func:`observe`."""
        if not self.present:
            return None
        listener = {
            "namespace": self.namespace, "network_id": self.id, "address": names.METADATA_ADDRESS, "port": 80,
        }  # fmt: skip
        return {
            "namespace": True,
            "interface": self.interface.desired(),
            "default_route": self.gateway,
            "dnsmasq": dnsmasq.desired_state(self.files()) if self.subnets else None,
            "listener": json.dumps(listener, sort_keys=True) + "\n" if self.metadata else None,
        }


def _subnet(arguments: dict[str, Any]) -> dict[str, Any]:
    cidr = names.network(arguments["cidr"])
    # dnsmasq serves no IPv6 range wider than /64, and advertises none that is narrower.
    length = ipaddress.ip_network(cidr).prefixlen
    is_served = not names.is_ipv6(cidr) or length >= _IPV6_LENGTH
    return {
        "id": names.uuid(arguments["id"]),
        "cidr": cidr,
        "ipv6_mode": arguments["ipv6_mode"] if is_served else None,
        "advertise": arguments["advertise"] and names.is_ipv6(cidr) and length == _IPV6_LENGTH,
        "gateway_ip": names.address(arguments["gateway_ip"]) if arguments["gateway_ip"] else None,
        "dns_nameservers": [names.address(server) for server in arguments["dns_nameservers"]],
        "host_routes": [
            {"destination": names.network(route["destination"]), "nexthop": names.address(route["nexthop"])}
            for route in arguments["host_routes"]
        ],
    }


def _host(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "mac": names.mac(arguments["mac"]),
        "hostname": names.host_label(arguments["hostname"]) if arguments["hostname"] else "",
        "subnet_id": names.uuid(arguments["subnet_id"]),
        "ip": names.address(arguments["ip"]),
        "options": [_option(option) for option in arguments["options"]],
    }


def _option(arguments: dict[str, Any]) -> str:
    """A port's own DHCP option as dnsmasq writes it."""
    name, value = arguments["opt_name"], arguments["opt_value"]
    if not _OPTION_NAME.fullmatch(name) or not _OPTION_VALUE.fullmatch(value):
        raise names.Unusable(f"The DHCP option {name!r} is not one that can be set.")
    family = "option6:" if arguments["ip_version"] == 6 else "" if name.isdecimal() else "option:"
    return f"{family}{name},{value}"


def observe(host: Netlink, inside: Netlink | None, plan: DhcpPlan) -> dict[str, Any] | None:
    """What is there of a network's DHCP; None when nothing is. ``inside`` is None when there is no namespace."""
    interface = veth.observe(host, inside, plan.inner, plan.interface.tap) if plan.present else None
    process = dnsmasq.observe(plan.id, _identity(inside, plan.inner) if plan.present else "")
    listener = read_file(plan.listener_path)
    has_namespace = namespaces.exists(plan.namespace)
    if not plan.present:
        leftover = plan.tap is not None and host.link(plan.tap) is not None
        something = has_namespace or process or listener or leftover
        return {"namespace": has_namespace, "dnsmasq": process, "listener": listener} if something else None
    if not (has_namespace or process or listener or interface):
        return None
    routes = inside.static_routes() if inside else []
    default = next((route.nexthop for route in routes if route.destination == _DEFAULT), None)
    return {
        "namespace": has_namespace,
        "interface": interface,
        "default_route": default,
        "dnsmasq": process,
        "listener": listener,
    }


def _identity(inside: Netlink | None, inner: str) -> str:
    """Tells the interface from another of the same name, in this namespace or in one that was there before."""
    link = inside.link(inner) if inside else None
    if inside is None or link is None:
        return ""
    return f"{os.stat(namespaces.path_of(inside.namespace or '')).st_ino}-{link.index}"


def apply(host: Netlink, inside: Netlink, plan: DhcpPlan, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
    """Bring a network's DHCP to its desired state."""
    before = before or {"interface": None, "default_route": None, "dnsmasq": None, "listener": None}
    loopback = inside.link("lo")
    if loopback is not None and not loopback.up:
        inside.set_link("lo", state="up")
    veth.apply(host, inside, before["interface"], after["interface"])
    _apply_default_route(inside, plan)
    if after["dnsmasq"] is None:
        if before["dnsmasq"]:
            dnsmasq.remove(plan.id)
    else:
        if before["dnsmasq"] != after["dnsmasq"] or before["interface"] is None:
            dnsmasq.apply(plan.id, plan.namespace, _identity(inside, plan.inner), after["dnsmasq"]["files"])
        _release_orphans(plan)
    if after["listener"] is None:
        remove_file(plan.listener_path)
    elif before["listener"] != after["listener"]:
        write_file(plan.listener_path, after["listener"], 0o600)


def _apply_default_route(inside: Netlink, plan: DhcpPlan) -> None:
    """dnsmasq reaches upstream name servers through the network's router."""
    wanted = False
    for route in inside.static_routes():
        if (route.destination, route.nexthop, route.device) == (_DEFAULT, plan.gateway, plan.inner):
            wanted = True
        else:
            inside.delete_route(route.destination, route.nexthop, route.device)
    if plan.gateway and not wanted:
        inside.add_route(_DEFAULT, plan.gateway, plan.inner)


def _release_orphans(plan: DhcpPlan) -> None:
    """Leases whose host is gone would keep their addresses from the next."""
    folder = dnsmasq.folder_of(plan.id)
    servers = {address: own for address in leases.leased(folder) if (own := plan.server_of(address))}
    granted = {host["ip"]: host["mac"] for host in plan.hosts if plan.leases(host)}
    leases.release_orphans(folder, plan.namespace, plan.inner, servers, granted)


def remove(host: Netlink, network_id: str, namespace: str, tap: str | None) -> None:
    """Remove a network's DHCP. The links go first: sockets of others may keep the namespace alive for a while."""
    remove_file(f"{LISTENERS_DIR}/{network_id}.json")
    dnsmasq.remove(network_id)
    remove_namespace(host, namespace)
    if tap and host.link(tap) is not None:
        host.delete_link(tap)


def remove_namespace(host: Netlink, namespace: str) -> None:
    """Remove a namespace with its veth pairs."""
    if namespaces.exists(namespace):
        with Netlink(namespace) as inside:
            for link in inside.links().values():
                if link.kind == "veth":
                    outer = host.name_of(link.peer_index)
                    inside.delete_link(link.name)
                    if outer:
                        host.forget(outer)
    namespaces.remove(namespace)
