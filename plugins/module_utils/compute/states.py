"""Libvirt's numbers for a guest's state in the words of our contracts."""

from __future__ import annotations

# virDomainState
POWER_STATES = {
    0: "nostate",
    1: "running",
    2: "running",  # blocked on a resource
    3: "paused",
    4: "running",  # being shut down
    5: "shutdown",
    6: "crashed",
    7: "paused",  # suspended by the guest's own power management
}

# virDomainShutoffReason
SHUTOFF_REASONS = {
    1: "guest_shutdown",
    2: "destroyed",
    3: "killed",  # libvirt says crashed: QEMU ended without a word
    4: "migrated",
    5: "saved",
    6: "start_failed",
    7: "from_snapshot",
    8: "daemon",  # libvirt itself was at fault
}

# virDomainCrashedReason: the guest's kernel panicked
CRASHED_REASON = "crashed"

# virDomainEventType -> (event, power state)
LIFECYCLE_EVENTS = {
    1: ("undefined", "nostate"),
    2: ("started", "running"),
    3: ("suspended", "paused"),
    4: ("resumed", "running"),
    5: ("stopped", "shutdown"),
    7: ("suspended", "paused"),
    8: ("crashed", "crashed"),
}
EVENT_STOPPED = 5
EVENT_SHUTDOWN = 6

# virDomainEventStoppedDetailType
STOPPED_REASONS = {
    0: "guest_shutdown",
    1: "destroyed",
    2: "crashed",
    3: "migrated",
    4: "saved",
    5: "killed",
    6: "from_snapshot",
}
# virDomainEventShutdownDetailType: a signal from the host asked QEMU to end
SHUTDOWN_BY_HOST = 2


def power_state(state: int) -> str:
    """The power state of a virDomainState."""
    return POWER_STATES.get(state, "nostate")


def state_reason(state: int, reason: int) -> str:
    """Why a guest is shut down or crashed; empty for other states."""
    if state == 6:
        return CRASHED_REASON
    return SHUTOFF_REASONS.get(reason, "") if state == 5 else ""
