"""Subnet pools: prefixes from which subnets are cut, so that nobody's ranges overlap by accident."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.network import faults, ipam, quotas
from api.network.models import Subnet, SubnetPool

_SHORTEST, _LONGEST = {4: 8, 6: 64}, {4: 32, 6: 128}
_QUOTA_UNIT = {4: 32, 6: 64}
"""Neutron's default prefix lengths, and of what a pool's quota counts: IPv4 addresses, IPv6 /64s."""


def create(session: Session, context: Context, values: dict[str, Any]) -> SubnetPool:
    """A new pool."""
    quotas.reserve(session, values["project_id"], "subnetpool")
    values["prefixes"] = _merged(values["prefixes"])
    values["ip_version"] = ipaddress.ip_network(values["prefixes"][0]).version
    pool = SubnetPool(**values | _lengths(values["ip_version"], values))
    if pool.is_default:
        _only_default(session, pool)
    session.add(pool)
    session.flush()
    return pool


def _merged(prefixes: Sequence[str]) -> list[str]:
    if not prefixes:
        raise faults.bad("EmptySubnetPoolPrefixList", "Empty subnet pool prefix list.")
    networks = [ipaddress.ip_network(prefix) for prefix in prefixes]
    four = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    six = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    if four and six:
        raise faults.bad("PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
    return [str(one) for one in (ipaddress.collapse_addresses(four) if four else ipaddress.collapse_addresses(six))]


def _lengths(version: int, values: dict[str, Any]) -> dict[str, int]:
    """The prefix lengths, with those filled in that were not given; 400 for lengths that contradict each other."""
    bits = _LONGEST[version]
    shortest, longest, usual = (values.get(f"{word}_prefixlen") for word in ("min", "max", "default"))
    shortest = _SHORTEST[version] if shortest is None else shortest
    longest = bits if longest is None else longest
    usual = shortest if usual is None else usual
    bounds = (("max_prefixlen", longest, "max_prefixlen", bits),
              ("min_prefixlen", shortest, "max_prefixlen", longest),
              ("default_prefixlen", usual, "max_prefixlen", longest),
              ("min_prefixlen", shortest, "default_prefixlen", usual))  # fmt: skip
    for low_name, low, high_name, high in bounds:
        if low > high:
            raise faults.bad("IllegalSubnetPoolPrefixBounds", f"Illegal prefix bounds: {low_name}={low}, "
                             f"{high_name}={high}.")  # fmt: skip
    return {"min_prefixlen": shortest, "max_prefixlen": longest, "default_prefixlen": usual}


def _only_default(session: Session, pool: SubnetPool) -> None:
    quotas.lock(session, "network-default-pool")
    others = select(SubnetPool.id).where(SubnetPool.is_default, SubnetPool.ip_version == pool.ip_version)
    if session.scalar(others.where(SubnetPool.id != (pool.id or "")).limit(1)) is not None:
        raise faults.invalid_input("A default subnetpool for this IP family has already been set. Only one default "
                                   "may exist per IP family")  # fmt: skip


def update(session: Session, context: Context, pool: SubnetPool, values: dict[str, Any]) -> SubnetPool:
    """Changes a pool; its prefixes may grow only."""
    if "prefixes" in values:
        values["prefixes"] = _merged(values["prefixes"])
        _refuse_smaller(pool, values["prefixes"])
    lengths = {name: getattr(pool, name) for name in ("min_prefixlen", "max_prefixlen", "default_prefixlen")}
    for key, value in (values | _lengths(pool.ip_version, lengths | values)).items():
        setattr(pool, key, value)
    if values.get("is_default"):
        _only_default(session, pool)
    pool.bump()
    session.flush()
    return pool


def _refuse_smaller(pool: SubnetPool, prefixes: list[str]) -> None:
    wanted = [ipam.cidr_of(prefix) for prefix in prefixes]
    if wanted[0].version != pool.ip_version:
        raise faults.bad("PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool.")
    if not all(any(_within(ipam.cidr_of(old), new) for new in wanted) for old in pool.prefixes):
        raise faults.bad("IllegalSubnetPoolPrefixUpdate", "Illegal update to prefixes: Existing prefixes must be a "
                         "subset of the new prefixes.")  # fmt: skip


def _within(inner: ipam.Cidr, outer: ipam.Cidr) -> bool:
    return inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def remove(session: Session, context: Context, pool: SubnetPool) -> None:
    """Deletes a pool from which no subnet is left."""
    quotas.lock(session, f"network-pool:{pool.id}")
    if session.scalar(select(Subnet.id).where(Subnet.subnetpool_id == pool.id).limit(1)) is not None:
        raise faults.bad("SubnetPoolDeleteError", "Unable to delete subnet pool: Subnet pool has existing allocations.")
    session.delete(pool)
    session.flush()


def default_pool(session: Session, version: int) -> SubnetPool | None:
    """The pool for subnets of an IP version that name none."""
    return session.scalars(
        select(SubnetPool).where(SubnetPool.is_default, SubnetPool.ip_version == version).limit(1)
    ).one_or_none()


def cut(session: Session, pool: SubnetPool, project_id: str, cidr: str | None, prefixlen: int | None) -> str:
    """A free range of the pool: the one asked for, else the first of that length (the pool's, when none is given)."""
    quotas.lock(session, f"network-pool:{pool.id}")
    length = ipam.cidr_of(cidr).prefixlen if cidr else pool.default_prefixlen if prefixlen is None else prefixlen
    _check_length(pool, length)
    rows = session.execute(select(Subnet.cidr, Subnet.project_id).where(Subnet.subnetpool_id == pool.id)).all()
    taken = [ipam.cidr_of(row.cidr) for row in rows]
    if pool.default_quota:
        bits, unit = _LONGEST[pool.ip_version], _QUOTA_UNIT[pool.ip_version]
        own = (ipam.cidr_of(row.cidr).prefixlen for row in rows if row.project_id == project_id)
        if sum(1 << (bits - one) for one in (*own, length)) > pool.default_quota << (bits - unit):
            raise faults.conflict("SubnetPoolQuotaExceeded", "Per-tenant subnet pool prefix quota exceeded.")
    if cidr:
        wanted = ipam.cidr_of(cidr)
        inside = any(_within(wanted, ipam.cidr_of(prefix)) for prefix in pool.prefixes)
        if not inside or any(wanted.overlaps(other) for other in taken):
            raise _failed("Cannot allocate requested subnet from the available set of prefixes")
        return cidr
    for prefix in pool.prefixes:
        if (found := _first_gap(ipam.cidr_of(prefix), taken, length)) is not None:
            return found
    raise _failed(f"Insufficient prefix space to allocate subnet size /{length}")


def _failed(reason: str) -> Exception:
    return faults.conflict("SubnetAllocationError", f"Failed to allocate subnet: {reason}.")


def _check_length(pool: SubnetPool, length: int) -> None:
    for kind, word, bound, refused in (
        ("MinPrefixSubnetAllocationError", "minimum", pool.min_prefixlen, length < pool.min_prefixlen),
        ("MaxPrefixSubnetAllocationError", "maximum", pool.max_prefixlen, length > pool.max_prefixlen),
    ):
        if refused:
            raise faults.bad(kind, f"Unable to allocate subnet with prefix length {length}, {word} allowed prefix is "
                             f"{bound}.")  # fmt: skip


def _first_gap(prefix: ipam.Cidr, taken: Iterable[ipam.Cidr], length: int) -> str | None:
    """The lowest range of that length in the prefix that overlaps none of those taken."""
    if length < prefix.prefixlen:
        return None
    size = 1 << (prefix.max_prefixlen - length)
    start, end = int(prefix.network_address), int(prefix.broadcast_address)
    ranges = sorted((int(one.network_address), int(one.broadcast_address)) for one in taken)
    for low, high in ranges:
        if high < start or low > end:
            continue
        if start + size <= low:
            break
        start = max(start, (high + size) // size * size)
    return f"{type(prefix.network_address)(start)}/{length}" if start + size - 1 <= end else None
