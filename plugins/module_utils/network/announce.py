"""Tells the neighbours of an interface that addresses are here now (ARP announcement, RFC 5227, section 3)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from ansible_collections.stratiform.cloud.plugins.module_utils.network import names, namespaces

_ETHERTYPE_ARP = 0x0806
_BROADCAST = b"\xff" * 6
_REQUEST, _REPLY = 1, 2


def announce(namespace: str, device: str, mac: str, addresses: Iterable[str]) -> None:
    """Broadcast that IPv4 addresses belong to a MAC: as a request and as a reply, since systems heed either."""
    own = bytes.fromhex(mac.replace(":", ""))
    with namespaces.entered(namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((device, _ETHERTYPE_ARP))
        for address in addresses:
            if names.is_ipv6(address):
                continue
            ip = socket.inet_aton(address)
            for operation in (_REQUEST, _REPLY):
                header = struct.pack("!6s6sHHHBBH", _BROADCAST, own, _ETHERTYPE_ARP, 1, 0x0800, 6, 4, operation)
                sender.send(header + own + ip + (bytes(6) if operation == _REQUEST else _BROADCAST) + ip)
