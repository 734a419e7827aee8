"""Links, addresses, routes and forwarding entries of one network namespace, over one netlink socket."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.network import namespaces

# At the top so that the resident worker has it loaded before it forks: the import takes 0.25 s.
try:
    from pyroute2.iproute.linux import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    PYROUTE2_ERROR: str | None = None
except ImportError:
    PYROUTE2_ERROR = traceback.format_exc()

    class NetlinkError(Exception):  # type: ignore[no-redef]
        """Stands in where python3-pyroute2 is missing; the modules say so before they use it."""

        code = 0


# From <linux/if_tun.h>, <linux/if.h>, <linux/rtnetlink.h> and <linux/neighbour.h>.
_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_UP = 0x1
_RTPROT_STATIC = 4
_RT_TABLE_MAIN = 254
_RTN_UNICAST = 1
_RTNH_F_ONLINK = 4
_NTF_SELF = 0x02
_NUD_PERMANENT = 0x80

ANY_MAC = "00:00:00:00:00:00"
# Asking link by link costs 0.4 ms each, a dump 0.3 ms a link but only one call.
_DUMP_FROM = 12


@dataclass(frozen=True)
class Link:
    """A network device as the kernel describes it. ``data`` has the attributes of its kind, without their prefix."""

    name: str
    index: int
    kind: str
    mtu: int
    up: bool
    carrier: bool
    mac: str
    master_index: int
    peer_index: int
    data: dict[str, Any]


@dataclass(frozen=True)
class Route:
    """A unicast route that we made (protocol static) in the main table."""

    destination: str
    nexthop: str
    device: str


def _link_of(message: Any) -> Link:
    attributes = dict(message["attrs"])
    info = dict(attributes.get("IFLA_LINKINFO", {"attrs": []})["attrs"])
    kind = info.get("IFLA_INFO_KIND") or ""
    raw = info.get("IFLA_INFO_DATA")
    data: dict[str, Any] = {}
    if kind in ("bridge", "vxlan") and raw is not None:
        data = {name.split("_", 2)[2].lower(): value for name, value in raw["attrs"] if name.count("_") >= 2}
    return Link(
        name=attributes["IFLA_IFNAME"],
        index=message["index"],
        kind=kind,
        mtu=attributes.get("IFLA_MTU", 0),
        up=bool(message["flags"] & _IFF_UP),
        carrier=bool(attributes.get("IFLA_CARRIER", 0)),
        mac=attributes.get("IFLA_ADDRESS") or "",
        master_index=attributes.get("IFLA_MASTER") or 0,
        peer_index=attributes.get("IFLA_LINK") or 0,
        data=data,
    )


class Netlink:
    """A socket in a namespace (None: the one we are in), with what was read of its links."""

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = namespace
        with namespaces.entered(namespace):
            self._route = IPRoute()
        self._by_name: dict[str, Link | None] = {}
        self._complete = False

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._route.close()

    # Links

    def preload(self, names: Iterable[str]) -> None:
        """Read many links by one dump when that is cheaper than one by one."""
        if not self._complete and len(set(names)) >= _DUMP_FROM:
            self.links()

    def links(self) -> dict[str, Link]:
        """All links by name."""
        if not self._complete:
            self._by_name = {link.name: link for link in map(_link_of, self._route.get_links())}
            self._complete = True
        return {name: link for name, link in self._by_name.items() if link is not None}

    def link(self, name: str) -> Link | None:
        """A link by name, None when there is none."""
        if name not in self._by_name:
            self._by_name[name] = None if self._complete else self._ask(ifname=name)
        return self._by_name[name]

    def name_of(self, index: int) -> str | None:
        """The name of a link by its index; None for 0 and for links that are gone."""
        if not index:
            return None
        for link in self._by_name.values():
            if link is not None and link.index == index:
                return link.name
        found = None if self._complete else self._ask(index=index)
        if found is None:
            return None
        self._by_name[found.name] = found
        return found.name

    def _ask(self, **key: Any) -> Link | None:
        try:
            return _link_of(self._route.link("get", **key)[0])
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise

    def forget(self, name: str) -> None:
        """Read a link anew when it is asked for next."""
        self._by_name.pop(name, None)
        if self._complete:
            self._by_name[name] = self._ask(ifname=name)

    def index(self, name: str) -> int:
        """The index of a link that must be there."""
        link = self.link(name)
        if link is None:
            raise NetlinkError(errno.ENODEV, f"There is no network device {name}.")
        return link.index

    def add_link(self, name: str, kind: str, **attributes: Any) -> None:
        """Make a link."""
        self._route.link("add", ifname=name, kind=kind, **attributes)
        self.forget(name)

    def set_link(self, name: str, **attributes: Any) -> None:
        """Change a link (mtu, address, master by index, state)."""
        self._route.link("set", index=self.index(name), **attributes)
        self.forget(name)

    def delete_link(self, name: str) -> None:
        """Remove a link; one that is gone already is fine."""
        try:
            self._route.link("del", index=self.index(name))
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise
        self.forget(name)

    def add_tap(self, name: str) -> None:
        """Make a persistent tap device. Only for the namespace that the process is in."""
        with open("/dev/net/tun", "r+b", buffering=0) as device:
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
            fcntl.ioctl(device, _TUNSETPERSIST, 1)
        self.forget(name)

    # Addresses

    def addresses(self, name: str) -> list[str]:
        """The addresses that we or others gave a link, as ``address/length``; the kernel's link-local ones left out."""
        found = []
        for message in self._route.get_addr(index=self.index(name)):
            address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
            if not (message["family"] == socket.AF_INET6 and address.startswith("fe80:")):
                found.append(f"{address}/{message['prefixlen']}")
        return sorted(found)

    def add_address(self, name: str, address: str) -> None:
        """Give a link an address; IPv6 ones are used at once, without waiting for duplicate detection."""
        ip, _slash, length = address.partition("/")
        more: dict[str, Any] = {"flags": 0x02} if ":" in ip else {}
        with self.tolerating(errno.EEXIST):
            self._route.addr("add", index=self.index(name), address=ip, prefixlen=int(length), **more)

    def delete_address(self, name: str, address: str) -> None:
        """Take an address from a link."""
        ip, _slash, length = address.partition("/")
        with self.tolerating(errno.EADDRNOTAVAIL):
            self._route.addr("del", index=self.index(name), address=ip, prefixlen=int(length))

    # Routes

    def static_routes(self) -> list[Route]:
        """The routes with protocol static in the main table."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            messages = self._route.get_routes(family=family, table=_RT_TABLE_MAIN, proto=_RTPROT_STATIC)
            for message in messages:
                if message["type"] != _RTN_UNICAST:
                    continue
                nothing = "0.0.0.0" if family == socket.AF_INET else "::"
                destination = f"{message.get_attr('RTA_DST') or nothing}/{message['dst_len']}"
                device = self.name_of(message.get_attr("RTA_OIF") or 0) or ""
                found.append(Route(destination, message.get_attr("RTA_GATEWAY") or "", device))
        return sorted(found, key=lambda route: (route.destination, route.nexthop, route.device))

    def add_route(self, destination: str, nexthop: str, device: str) -> None:
        """Add a route through a neighbour; it need not lie in a subnet of the device."""
        self._change_route("add", destination, nexthop, device)

    def delete_route(self, destination: str, nexthop: str, device: str) -> None:
        """Remove a route; one that is gone already (with its device) is fine."""
        with self.tolerating(errno.ESRCH, errno.ENODEV):
            self._change_route("del", destination, nexthop, device)

    def _change_route(self, command: str, destination: str, nexthop: str, device: str) -> None:
        self._route.route(
            command,
            family=socket.AF_INET6 if ":" in nexthop else socket.AF_INET,
            dst=destination,
            gateway=nexthop,
            oif=self.index(device),
            proto=_RTPROT_STATIC,
            table=_RT_TABLE_MAIN,
            flags=_RTNH_F_ONLINK if command == "add" else 0,
        )

    # VXLAN flooding

    def flood_peers(self, name: str) -> list[str]:
        """The hosts to which a VXLAN device sends what it has no better place for."""
        messages = self._route.fdb("dump", ifindex=self.index(name), lladdr=ANY_MAC)
        return sorted({peer for message in messages if (peer := message.get_attr("NDA_DST"))})

    def add_flood_peer(self, name: str, peer: str) -> None:
        """Flood to one host more."""
        with self.tolerating(errno.EEXIST):
            self._flood("append", name, peer)

    def delete_flood_peer(self, name: str, peer: str) -> None:
        """Flood to one host less."""
        with self.tolerating(errno.ENOENT):
            self._flood("del", name, peer)

    def _flood(self, command: str, name: str, peer: str) -> None:
        self._route.fdb(
            command, ifindex=self.index(name), lladdr=ANY_MAC, dst=peer, flags=_NTF_SELF, state=_NUD_PERMANENT
        )

    @staticmethod
    @contextlib.contextmanager
    def tolerating(*codes: int) -> Iterator[None]:
        """Take some of the kernel's refusals as success: the state is as wished already."""
        try:
            yield
        except NetlinkError as error:
            if error.code not in codes:
                raise


def ipv6_disabled(name: str) -> bool:
    """Whether a link of the namespace that we are in speaks no IPv6 itself."""
    return namespaces.read_sysctl(f"net/ipv6/conf/{name}/disable_ipv6") in ("1", None)


def disable_ipv6(name: str, disabled: bool = True) -> None:
    """Switch a link's own IPv6 off (a bridge and its ports only carry frames of others) or on."""
    namespaces.write_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1" if disabled else "0")


def error_sentence(error: Exception) -> str:
    """An error of netlink, a file or a command as one sentence."""
    if isinstance(error, NetlinkError) and error.code:
        return f"The kernel refused a network change: {os.strerror(error.code)} (errno {error.code})."
    return str(error)
