"""Cuts connections that are no longer allowed, by removing what the kernel remembers of them."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandRunner, flag, option
from ansible_collections.stratiform.cloud.plugins.module_utils.network import namespaces

_CONNTRACK = CommandRunner(
    "conntrack",
    {
        "delete": flag("-D"),
        "family": option("-f"),
        "zone": option("-w"),
        "source": option("-s"),
        "destination": option("-d"),
        "reply_source": option("-r"),
        "reply_destination": option("-q"),
    },
)
# conntrack ends with 1 when nothing matched.
_FINE = (0, 1)


def _family(address: str) -> str:
    return "ipv6" if ":" in address else "ipv4"


def forget_guest(zone: int, address: str) -> None:
    """Forget the connections from and to a guest's address, in the zone of its network (0: the default zone)."""
    for side in ("source", "destination"):
        _CONNTRACK.run(delete=True, family=_family(address), zone=zone, accept=_FINE, **{side: address})


def forget_floating_ip(namespace: str, floating_ip: str) -> None:
    """Forget the connections through a floating IP of a router: those to it, and those that went out under its name."""
    with namespaces.entered(namespace):
        for side in ("destination", "reply_destination"):
            _CONNTRACK.run(delete=True, family=_family(floating_ip), accept=_FINE, **{side: floating_ip})
