"""Link states of the host's tap devices, from the kernel's own notifications (rtnetlink(7)), without a library."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

SYS_NET = "/sys/class/net"
PREFIX = "tap"

RTMGRP_LINK = 1
RTM_NEWLINK = 16
RTM_DELLINK = 17
IFLA_IFNAME = 3
IFF_LOWER_UP = 0x10000

_MESSAGE_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_LINK_HEADER = struct.Struct("=BxHiII")  # family, device type, index, flags, change mask
_ATTRIBUTE_HEADER = struct.Struct("=HH")  # length, type
_BUFFER_BYTES = 1 << 16


class LinkWatch:
    """Follows the taps' link states. A tap is up when it has a carrier: when a guest, or the other end, holds it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self.socket.bind((0, RTMGRP_LINK))
        self.states = scan()

    def changes(self) -> dict[str, bool]:
        """Read what the kernel has to say: the taps whose state changed (name without prefix -> up)."""
        changed: dict[str, bool] = {}
        while True:
            try:
                data = self.socket.recv(_BUFFER_BYTES)
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # Messages were lost: compare with the whole.
                changed.update(self._update(scan(), whole=True))
                continue
            for name, state in parse(data):
                changed.update(self._update({name: state}))

    def _update(self, found: dict[str, bool], whole: bool = False) -> dict[str, bool]:
        gone = {name: False for name in self.states if name not in found} if whole else {}
        changed = {name: up for name, up in {**gone, **found}.items() if self.states.get(name, False) != up}
        self.states.update(found)
        self.states.update(gone)
        return changed


def parse(data: bytes) -> Iterator[tuple[str, bool]]:
    """Yield (name without prefix, up) for each tap in a datagram of link messages."""
    offset = 0
    while offset + _MESSAGE_HEADER.size <= len(data):
        length, kind, *_rest = _MESSAGE_HEADER.unpack_from(data, offset)
        if length < _MESSAGE_HEADER.size:
            return
        if kind in (RTM_NEWLINK, RTM_DELLINK):
            body = data[offset + _MESSAGE_HEADER.size : offset + length]
            flags = _LINK_HEADER.unpack_from(body)[3]
            name = _interface_name(body[_LINK_HEADER.size :])
            if name.startswith(PREFIX):
                yield name[len(PREFIX) :], kind == RTM_NEWLINK and bool(flags & IFF_LOWER_UP)
        offset += (length + 3) & ~3


def _interface_name(attributes: bytes) -> str:
    """The IFLA_IFNAME attribute, or nothing."""
    offset = 0
    while offset + _ATTRIBUTE_HEADER.size <= len(attributes):
        length, kind = _ATTRIBUTE_HEADER.unpack_from(attributes, offset)
        if length < _ATTRIBUTE_HEADER.size:
            break
        if kind == IFLA_IFNAME:
            return attributes[offset + _ATTRIBUTE_HEADER.size : offset + length].rstrip(b"\0").decode(errors="replace")
        offset += (length + 3) & ~3
    return ""


def scan() -> dict[str, bool]:
    """All taps of the host and whether they are up."""
    return {name[len(PREFIX) :]: _has_carrier(name) for name in os.listdir(SYS_NET) if name.startswith(PREFIX)}


def _has_carrier(name: str) -> bool:
    try:
        with open(f"{SYS_NET}/{name}/carrier", encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        # A device that is set down has no carrier to read, and one may vanish between listing and reading.
        return False
