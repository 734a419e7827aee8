"""dnsmasq's leases: which nobody has any more, and how they are given back so that others can have the addresses."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import read_file, read_json, write_json
from ansible_collections.stratiform.cloud.plugins.module_utils.network import names, namespaces

_SERVERS = "ff02::1:2"
_RELEASE6 = 8
_CLIENT_ID, _SERVER_ID, _IA_NA, _IA_ADDRESS = 1, 2, 3, 5


def release_orphans(folder: str, namespace: str, device: str, servers: dict[str, str], hosts: dict[str, str]) -> None:
    """Give back, in their holders' names, the leases that ``hosts`` (address -> MAC) does not grant.

    ``servers`` maps an IPv4 address of a lease to the own address in its subnet. A DHCPv6 lease does not tell its
    holder's MAC: to whom each address was granted is kept in the file ``holders``, so that a lease from before the
    grant is known as another's. The own one released by mistake, after a killed run, is renewed by its guest.
    """
    holders = read_json(f"{folder}/holders") or {}
    wanted = {address: mac for address, mac in hosts.items() if names.is_ipv6(address)}
    duid = ""
    for words in (line.split() for line in (read_file(f"{folder}/leases") or "").splitlines()):
        if len(words) == 2 and words[0] == "duid":
            duid = words[1]
        elif len(words) != 5 or not words[0].isdecimal():
            continue
        elif names.is_ipv6(words[2]):
            address = names.address(words[2])
            if address not in wanted or holders.get(address) != wanted[address]:
                _release6(namespace, device, duid, words[1], address, words[4])
        elif hosts.get(words[2]) != words[1] and words[2] in servers:
            _release4(namespace, device, servers[words[2]], words[1], words[2], words[4])
    if holders != wanted:
        write_json(f"{folder}/holders", wanted)


def leased(folder: str) -> list[str]:
    """The IPv4 addresses that are leased."""
    lines = (line.split() for line in (read_file(f"{folder}/leases") or "").splitlines())
    return [words[2] for words in lines if len(words) == 5 and not names.is_ipv6(words[2])]


def _release4(namespace: str, device: str, server: str, mac: str, address: str, client_id: str) -> None:
    """A DHCPRELEASE (RFC 2131, 4.4.6) to our own server."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    packet = struct.pack("!BBBBIHH", 1, 1, 6, 0, struct.unpack("!I", os.urandom(4))[0], 0, 0)
    packet += socket.inet_aton(address) + bytes(12) + hardware.ljust(16, b"\0") + bytes(192)
    packet += b"\x63\x82\x53\x63" + b"\x35\x01\x07" + b"\x36\x04" + socket.inet_aton(server)
    if client_id != "*":
        identity = bytes.fromhex(client_id.replace(":", ""))
        packet += bytes([61, len(identity)]) + identity
    with namespaces.entered(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sender.sendto(packet + b"\xff", (server, 67))


def _option(number: int, content: bytes) -> bytes:
    return struct.pack("!HH", number, len(content)) + content


def _release6(namespace: str, device: str, server: str, iaid: str, address: str, client: str) -> None:
    """A DHCPv6 Release (RFC 8415, 18.2.7), which our own server hears on the device like one from the network."""
    if not iaid.isdecimal() or not server:
        return
    lease = _option(_IA_ADDRESS, socket.inet_pton(socket.AF_INET6, address) + bytes(8))
    packet: bytes = bytes([_RELEASE6]) + os.urandom(3)
    packet += _option(_CLIENT_ID, _bytes_of(client)) + _option(_SERVER_ID, _bytes_of(server))
    packet += _option(_IA_NA, struct.pack("!III", int(iaid), 0, 0) + lease)
    with namespaces.entered(namespace), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        index: Any = socket.if_nametoindex(device)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sender.sendto(packet, (_SERVERS, 547, 0, index))


def _bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))
