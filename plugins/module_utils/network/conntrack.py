"""Cuts connections that are no longer allowed, by removing what the kernel remembers of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandRunner, flag, option
from ansible_collections.stratiform.cloud.plugins.module_utils.network import namespaces

_CONNTRACK = CommandRunner(
    "conntrack",
    {
        "delete": flag("-D"),
        "list": flag("-L"),
        "family": option("-f"),
        "zone": option("-w"),
        "source": option("-s"),
        "destination": option("-d"),
        "reply_source": option("-r"),
        "reply_destination": option("-q"),
    },
)
_ZONE = re.compile(r" zone=(\d+)")
_ADDRESSES = re.compile(r" (?:src|dst)=(\S+)")
# conntrack ends with 1 when nothing matched.
_FINE = (0, 1)


def _family(address: str) -> str:
    return "ipv6" if ":" in address else "ipv4"


def forget_guests(guests: Iterable[tuple[int, str]]) -> None:
    """Forget the connections from and to guests, each given by the zone of its network (0: the default) and address.

    One listing tells which guests have connections at all: most have none when a group of many changes.
    """
    by_family: dict[str, list[tuple[int, str]]] = {}
    for zone, address in guests:
        by_family.setdefault(_family(address), []).append((zone, address))
    for family, members in sorted(by_family.items()):
        connected = _connected(family)
        for zone, address in members:
            if (zone, address) in connected:
                for side in ("source", "destination"):
                    _CONNTRACK.run(delete=True, family=family, zone=zone, accept=_FINE, **{side: address})


def _connected(family: str) -> set[tuple[int, str]]:
    """The zones and addresses of all connections of a family."""
    found = set()
    for line in _CONNTRACK.run(list=True, family=family).stdout.splitlines():
        zone = _ZONE.search(line)
        found |= {(int(zone[1]) if zone else 0, address) for address in _ADDRESSES.findall(line)}
    return found


def forget_floating_ip(namespace: str, floating_ip: str) -> None:
    """Forget the connections through a floating IP of a router: those to it, and those that went out under its name."""
    with namespaces.entered(namespace):
        for side in ("destination", "reply_destination"):
            _CONNTRACK.run(delete=True, family=_family(floating_ip), accept=_FINE, **{side: floating_ip})
