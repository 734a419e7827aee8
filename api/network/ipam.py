"""Addresses: which are free, found by SQL so that a /16 costs no more than a /28; MAC addresses likewise."""

from __future__ import annotations

import functools
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from api.network import faults
from api.network.models import Network, Port, PortIp, Subnet

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Cidr = ipaddress.IPv4Network | ipaddress.IPv6Network
_LOW_64 = (1 << 64) - 1
_HALF = 1 << 63


@functools.lru_cache(4096)
def cidr_of(text: str) -> Cidr:
    """The parsed CIDR of a stored subnet."""
    return ipaddress.ip_network(text)


def number_of(address: Address) -> int:
    """Orders the addresses of one subnet in a signed 64 bit column: IPv6 by the lower half, shifted."""
    return int(address) if address.version == 4 else (int(address) & _LOW_64) - _HALF


def _address(number: int, near: Address) -> Address:
    if near.version == 4:
        return ipaddress.IPv4Address(number)
    return ipaddress.IPv6Address((int(near) & ~_LOW_64) | (number + _HALF))


def eui64(subnet: Subnet, mac: str) -> str:
    """The SLAAC address of a MAC (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    low = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(cidr_of(subnet.cidr)[int.from_bytes(low, "big")])


def free_address(session: Session, subnet: Subnet, *, outside: Iterable[str] = ()) -> str | None:
    """A free address of the subnet's pools: the one behind the highest taken, else the lowest gap. None when full."""
    avoid = {number_of(ipaddress.ip_address(text)) for text in outside}
    for pool in subnet.allocation_pools:
        start, end = ipaddress.ip_address(pool["start"]), ipaddress.ip_address(pool["end"])
        low = number_of(start)
        same_half = start.version == 4 or int(start) >> 64 == int(end) >> 64
        high = number_of(end) if same_half else _HALF - 1
        taken = PortIp.subnet_id == subnet.id, PortIp.number.between(low, high)
        highest = session.scalar(select(func.max(PortIp.number)).where(*taken))
        candidate = low if highest is None else highest + 1
        while candidate in avoid:
            candidate += 1
        if candidate > high:
            candidate = _lowest_gap(session, subnet.id, low, high, avoid)  # type: ignore[assignment]
        if candidate is not None:
            return str(_address(candidate, start))
    return None


def _lowest_gap(session: Session, subnet_id: str, low: int, high: int, avoid: set[int]) -> int | None:
    behind = aliased(PortIp)
    last = low - 1
    while last < high:
        candidate = last + 1
        here = select(PortIp.number).where(PortIp.subnet_id == subnet_id, PortIp.number == candidate)
        if session.scalar(here) is not None:
            gap = session.scalar(
                select(PortIp.number)
                .where(
                    PortIp.subnet_id == subnet_id,
                    PortIp.number.between(candidate, high),
                    ~select(behind.number)
                    .where(behind.subnet_id == subnet_id, behind.number == PortIp.number + 1)
                    .exists(),
                )
                .order_by(PortIp.number)
                .limit(1)
            )
            if gap is None or gap >= high:
                return None
            candidate = gap + 1
        if candidate not in avoid:
            return candidate
        last = candidate
    return None


def is_taken(session: Session, subnet_id: str, address: str) -> bool:
    """Whether a port has this address."""
    query = select(PortIp.port_id).where(PortIp.subnet_id == subnet_id, PortIp.address == address)
    return session.scalar(query) is not None


def usable(subnet: Subnet, address: Address) -> bool:
    """Whether a port may have this address of the subnet: neither its network nor its broadcast address."""
    cidr = cidr_of(subnet.cidr)
    if address.version != cidr.version or address not in cidr:
        return False
    if cidr.version == 4 and cidr.prefixlen < 31:
        return address not in (cidr.network_address, cidr.broadcast_address)
    return cidr.version == 4 or address != cidr.network_address or cidr.prefixlen >= 127


def choose(
    session: Session, network: Network, subnets: Sequence[Subnet], requested: list[dict[str, Any]] | None, mac: str, *,
    keep: Iterable[PortIp] = (), for_router: bool = False,
) -> list[tuple[str, str]]:  # fmt: skip
    """(subnet id, address) pairs for a port: those requested, or one of each IP version when nothing is requested.

    `keep` are addresses that the port already has. A router's own ports may have any address, also the gateway's.
    """
    if requested is None:
        return _one_of_each_version(session, network, subnets, mac)
    by_id = {subnet.id: subnet for subnet in subnets}
    kept = {(ip.subnet_id, ip.address) for ip in keep}
    chosen: list[tuple[str, str]] = []
    open_subnets: list[Subnet] = []
    for item in requested:
        subnet_id, text = item.get("subnet_id"), item.get("ip_address")
        subnet = by_id.get(subnet_id) if subnet_id else None
        if subnet_id and subnet is None:
            raise faults.invalid_input(
                f"Failed to create port on network {network.id}, because fixed_ips included invalid subnet {subnet_id}"
            )
        if text is None:
            if subnet is None:
                raise faults.invalid_input("IP allocation requires subnet_id or ip_address")
            open_subnets.append(subnet)
            continue
        address = ipaddress.ip_address(text)
        subnet = subnet or next((one for one in subnets if address in cidr_of(one.cidr)), None)
        if subnet is None:
            raise faults.bad("InvalidIpForNetwork", f"IP address {text} is not a valid IP for any of the subnets on "
                             "the specified network.")  # fmt: skip
        chosen.append(_specific(session, network, subnet, address, mac, kept, for_router=for_router))
    for subnet in open_subnets:
        chosen.append((subnet.id, _any(session, network, subnet, mac, [ip for _, ip in chosen])))
    if len(set(chosen)) != len(chosen):
        raise faults.invalid("Invalid input for fixed_ips. Reason: Duplicate IP address.")
    return chosen if for_router else chosen + _automatic(subnets, mac, {subnet_id for subnet_id, _ in chosen})


def _automatic(subnets: Sequence[Subnet], mac: str, without: set[str]) -> list[tuple[str, str]]:
    """What a guest makes itself of what routers advertise: it has these addresses, asked for or not."""
    return [(subnet.id, eui64(subnet, mac)) for subnet in subnets if subnet.is_automatic and subnet.id not in without]


def _specific(
    session: Session, network: Network, subnet: Subnet, address: Address, mac: str, kept: set[tuple[str, str]], *,
    for_router: bool,
) -> tuple[str, str]:  # fmt: skip
    text = str(address)
    if not usable(subnet, address):
        raise faults.bad("InvalidIpForSubnet", f"IP address {text} is not a valid IP for the specified subnet.")
    if (subnet.id, text) in kept:
        return subnet.id, text
    if subnet.is_automatic and not for_router and text != eui64(subnet, mac):
        raise faults.invalid_input(
            f"IPv6 address {text} cannot be directly assigned to a port on subnet {subnet.id} as the subnet is "
            "configured for automatic addresses", "AllocationOnAutoAddressSubnet",
        )  # fmt: skip
    if is_taken(session, subnet.id, text):
        raise faults.conflict("IpAddressAlreadyAllocated", f"IP address {text} already allocated in subnet {subnet.id}")
    return subnet.id, text


def _any(session: Session, network: Network, subnet: Subnet, mac: str, outside: Iterable[str]) -> str:
    if subnet.is_automatic:
        return eui64(subnet, mac)
    inside = [text for text in outside if ipaddress.ip_address(text) in cidr_of(subnet.cidr)]
    address = free_address(session, subnet, outside=inside)
    if address is None:
        raise faults.conflict(
            "IpAddressGenerationFailure", f"No more IP addresses available on network {network.id}."
        )
    return address


def _one_of_each_version(
    session: Session, network: Network, subnets: Sequence[Subnet], mac: str
) -> list[tuple[str, str]]:
    chosen: list[tuple[str, str]] = []
    for version in (4, 6):
        managed = [subnet for subnet in subnets if subnet.ip_version == version and not subnet.is_automatic]
        if not managed:
            continue
        for subnet in managed:
            if address := free_address(session, subnet):
                chosen.append((subnet.id, address))
                break
        else:
            raise faults.conflict(
                "IpAddressGenerationFailure", f"No more IP addresses available on network {network.id}."
            )
    return chosen + _automatic(subnets, mac, set())


def store(port: Port, chosen: Iterable[tuple[str, str]]) -> None:
    """Makes these the port's addresses; those it keeps stay as they are."""
    had = {(ip.subnet_id, ip.address): ip for ip in port.fixed_ips}
    wanted: list[PortIp] = []
    for position, (subnet_id, text) in enumerate(chosen):
        ip = had.get((subnet_id, text)) or PortIp(
            subnet_id=subnet_id, address=text, number=number_of(ipaddress.ip_address(text))
        )
        ip.position = position
        wanted.append(ip)
    port.fixed_ips = wanted


def new_mac(session: Session, network_id: str) -> str:
    """A MAC address that no port of the network has."""
    while True:
        octets = secrets.token_bytes(3)
        mac = "fa:16:3e:" + ":".join(f"{octet:02x}" for octet in octets)
        if session.scalar(select(Port.id).where(Port.network_id == network_id, Port.mac_address == mac)) is None:
            return mac


def subnets_of(session: Session, network_id: str) -> list[Subnet]:
    """The subnets of a network, oldest first."""
    return list(session.scalars(
        select(Subnet).where(Subnet.network_id == network_id).order_by(Subnet.created_at, Subnet.id)
    ))  # fmt: skip
