"""Where a server goes: filters say which hosts can take it and why others cannot, weighers which of them is best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from api.placement.service import HostState

UNITS = {"VCPU": "VCPUs", "MEMORY_MB": "MB of memory", "DISK_GB": "GB of disk"}


@dataclass(frozen=True)
class Wanted:
    """What a server needs of a host. `resources` by resource class; `building` counts builds under way by host."""

    resources: dict[str, int]
    zone: str | None = None
    host: str | None = None
    image_properties: dict[str, Any] = field(default_factory=dict)
    building: dict[str, int] = field(default_factory=dict)


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


FILTERS: tuple[Filter, ...] = (is_chosen_host, in_service, in_zone, runs_image, has_capacity)

Weigher = tuple[float, Callable[[HostState, Wanted], float]]
WEIGHERS: tuple[Weigher, ...] = (
    (1.0, lambda state, _: state.free("MEMORY_MB")),
    (1.0, lambda state, _: state.free("VCPU")),
    (1.0, lambda state, _: state.free("DISK_GB")),
    (-1.0, lambda state, wanted: wanted.building.get(state.host, 0)),
)
"""(factor, figure): figures are scaled to 0..1 over the hosts before they count, as Nova's are."""


def choose(states: list[HostState], wanted: Wanted, count: int) -> list[str]:
    """A host for each of `count` equal servers, or NoValidHost: all find a place, or none does.

    Counts what it gives away in `states`, so the servers of one request see each other.
    """
    reasons: dict[str, str] = {}
    possible: list[HostState] = []
    for state in states:
        reason = next((text for check in FILTERS if (text := check(state, wanted))), None)
        if reason:
            reasons[state.host] = reason
        else:
            possible.append(state)
    chosen: list[str] = []
    for _ in range(count):
        if not possible:
            raise NoValidHost(reasons)
        best = _heaviest(possible, wanted)
        chosen.append(best.host)
        for name, amount in wanted.resources.items():
            best.used[name] = best.used.get(name, 0) + amount
        wanted.building[best.host] = wanted.building.get(best.host, 0) + 1
        if reason := has_capacity(best, wanted):
            possible.remove(best)
            reasons[best.host] = reason
    return chosen


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


