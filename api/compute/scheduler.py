"""Where a server goes: filters say which hosts can take it and why others cannot, weighers which of them is best."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from api.compute.group_models import AFFINITY, ANTI_AFFINITY, SOFT_AFFINITY, SOFT_ANTI_AFFINITY
from api.placement.service import HostState

UNITS = {"VCPU": "VCPUs", "MEMORY_MB": "MB of memory", "DISK_GB": "GB of disk"}


@dataclass(frozen=True)
class Grouping:
    """The server group of a server: its policy, and how many of its members each host has."""

    policy: str
    max_per_host: int = 1
    hosts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What a server needs of a host. `resources` by resource class; `building` counts builds under way by host.

    `same_as` and `other_than` are hosts of servers that it wants to be with, or apart from (None: no wish).
    `aggregate_specs` must be among the metadata of a host's aggregates (`aggregate_metadata`, by host).
    """

    resources: dict[str, int]
    zone: str | None = None
    host: str | None = None
    image_properties: dict[str, Any] = field(default_factory=dict)
    building: dict[str, int] = field(default_factory=dict)
    group: Grouping | None = None
    same_as: frozenset[str] | None = None
    other_than: frozenset[str] = frozenset()
    aggregate_specs: dict[str, str] = field(default_factory=dict)
    aggregate_metadata: dict[str, dict[str, set[str]]] = field(default_factory=dict)


class NoValidHost(Exception):
    """No host can take it; `reasons` says of every host why."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__("No valid host was found. There are not enough hosts available.")
        self.reasons = reasons

    @property
    def details(self) -> str:
        """A line a host, for operators."""
        if not self.reasons:
            return "The inventory has no compute hosts."
        return "\n".join(f"{host}: {reason}" for host, reason in sorted(self.reasons.items()))


Filter = Callable[[HostState, Wanted], str | None]
"""The reason why a host cannot take it, or None."""


def in_service(state: HostState, wanted: Wanted) -> str | None:
    """The host reports, libvirt answers, and no operator has disabled it."""
    if state.disabled:
        return "its compute service is disabled"
    if not state.is_up:
        return "it is down: no heartbeat for a minute"
    if state.facts.get("hypervisor_up") is False:
        return "libvirt does not answer on it"
    if not state.totals:
        return "it has not reported its capacity yet"
    return None


def in_zone(state: HostState, wanted: Wanted) -> str | None:
    """The host is in the wanted availability zone."""
    if wanted.zone is None or state.availability_zone == wanted.zone:
        return None
    return f"it is in availability zone {state.availability_zone}, {wanted.zone} was asked for"


def is_chosen_host(state: HostState, wanted: Wanted) -> str | None:
    """The host is the one that an admin chose."""
    return None if wanted.host is None or state.host == wanted.host else f"{wanted.host} was asked for"


def has_capacity(state: HostState, wanted: Wanted) -> str | None:
    """What is free, allocation ratios counted in, is enough; nothing bigger than the host itself."""
    for name, amount in wanted.resources.items():
        free = min(state.free(name), state.totals.get(name, 0))
        if amount > free:
            return f"{max(free, 0)} {UNITS.get(name, name)} free, {amount} wanted"
    return None


def runs_image(state: HostState, wanted: Wanted) -> str | None:
    """The host's processor and hypervisor are those that the image asks for."""
    architecture = wanted.image_properties.get("hw_architecture") or wanted.image_properties.get("architecture")
    have = (state.facts.get("cpu_info") or {}).get("arch")
    if architecture and have and str(architecture).lower() != str(have).lower():
        return f"its processor is {have}, the image is for {architecture}"
    hypervisor = wanted.image_properties.get("img_hv_type") or wanted.image_properties.get("hypervisor_type")
    possible = {"qemu", "kvm"} if state.facts.get("virt_type") == "kvm" else {"qemu"}
    if hypervisor and str(hypervisor).lower() not in possible:
        return f"it runs {' and '.join(sorted(possible))} guests, the image asks for {hypervisor}"
    return None


def suits_group(state: HostState, wanted: Wanted) -> str | None:
    """The host is the one of the group's members, or has not more of them than the group allows."""
    group = wanted.group
    if group is None:
        return None
    if group.policy == AFFINITY and group.hosts and state.host not in group.hosts:
        return f"the other members of the server group are on {', '.join(sorted(group.hosts))}"
    if group.policy == ANTI_AFFINITY and group.hosts.get(state.host, 0) >= group.max_per_host:
        return f"it has {group.hosts[state.host]} members of the server group already"
    return None


def suits_neighbours(state: HostState, wanted: Wanted) -> str | None:
    """The hints `same_host` and `different_host`."""
    if wanted.same_as is not None and state.host not in wanted.same_as:
        return "none of the servers of the hint same_host is on it"
    if state.host in wanted.other_than:
        return "a server of the hint different_host is on it"
    return None


def in_aggregate(state: HostState, wanted: Wanted) -> str | None:
    """The host's aggregates have what the flavor's `aggregate_instance_extra_specs` ask for."""
    have = wanted.aggregate_metadata.get(state.host, {})
    for key, value in wanted.aggregate_specs.items():
        if value not in have.get(key, ()):
            return f"none of its aggregates has {key}={value}"
    return None


FILTERS: tuple[Filter, ...] = (
    is_chosen_host, in_service, in_zone, in_aggregate, suits_neighbours, suits_group, runs_image, has_capacity
)  # fmt: skip
_CHANGING: tuple[Filter, ...] = (suits_group, has_capacity)
"""Those whose answer changes while one request's servers are placed."""


def _company(state: HostState, wanted: Wanted) -> float:
    """Members of a soft group: with them, or apart from them."""
    group = wanted.group
    sign = {SOFT_AFFINITY: 1.0, SOFT_ANTI_AFFINITY: -1.0}.get(group.policy, 0.0) if group else 0.0
    return sign * group.hosts.get(state.host, 0) if group else 0.0


Weigher = tuple[float, Callable[[HostState, Wanted], float]]
WEIGHERS: tuple[Weigher, ...] = (
    (1.0, lambda state, _: state.free("MEMORY_MB")),
    (1.0, lambda state, _: state.free("VCPU")),
    (1.0, lambda state, _: state.free("DISK_GB")),
    (-1.0, lambda state, wanted: wanted.building.get(state.host, 0)),
    (10.0, _company),
)
"""(factor, figure): figures are scaled to 0..1 over the hosts before they count, as Nova's are. A soft group counts
more than all others together: it is kept wherever that is possible."""


def choose(states: list[HostState], wanted: Wanted, count: int) -> list[str]:
    """A host for each of `count` equal servers, or NoValidHost: all find a place, or none does.

    Counts what it gives away in `states`, so the servers of one request see each other.
    """
    group = wanted.group and dataclasses.replace(wanted.group, hosts=dict(wanted.group.hosts))
    wanted = dataclasses.replace(wanted, building=dict(wanted.building), group=group)
    reasons: dict[str, str] = {}
    possible = _filter(states, wanted, FILTERS, reasons)
    chosen: list[str] = []
    for _ in range(count):
        if not possible:
            raise NoValidHost(reasons)
        best = _heaviest(possible, wanted)
        chosen.append(best.host)
        for name, amount in wanted.resources.items():
            best.used[name] = best.used.get(name, 0) + amount
        wanted.building[best.host] = wanted.building.get(best.host, 0) + 1
        if group is not None:
            group.hosts[best.host] = group.hosts.get(best.host, 0) + 1
        possible = _filter(possible, wanted, _CHANGING, reasons)
    return chosen


def _filter(states: list[HostState], wanted: Wanted, filters: tuple[Filter, ...],
            reasons: dict[str, str]) -> list[HostState]:  # fmt: skip
    """The hosts that pass; why the others do not is noted in `reasons`."""
    possible = []
    for state in states:
        reason = next((text for check in filters if (text := check(state, wanted))), None)
        if reason:
            reasons[state.host] = reason
        else:
            possible.append(state)
    return possible


def _heaviest(states: list[HostState], wanted: Wanted) -> HostState:
    if len(states) == 1:
        return states[0]
    totals = [0.0] * len(states)
    for factor, figure in WEIGHERS:
        figures = [figure(state, wanted) for state in states]
        low, high = min(figures), max(figures)
        if high > low:
            scale = factor / (high - low)
            totals = [total + (value - low) * scale for total, value in zip(totals, figures, strict=True)]
    return states[max(range(len(states)), key=totals.__getitem__)]


