"""The state machine of servers as data, under Nova's names (compute API guide, "Server Concepts").

vm_state is what a server is, task_state what is being done to it, power_state what its host sees of the guest.
"""

from __future__ import annotations

BUILDING, ACTIVE, STOPPED, ERROR, DELETED = "building", "active", "stopped", "error", "deleted"
PAUSED, SUSPENDED, RESCUED, RESIZED = "paused", "suspended", "rescued", "resized"
SHELVED, SHELVED_OFFLOADED, SOFT_DELETED = "shelved", "shelved_offloaded", "soft-delete"

SCHEDULING, SPAWNING, DELETING = "scheduling", "spawning", "deleting"
POWERING_ON, POWERING_OFF = "powering-on", "powering-off"
REBOOTING, REBOOTING_HARD = "rebooting", "rebooting_hard"
PAUSING, UNPAUSING, SUSPENDING, RESUMING = "pausing", "unpausing", "suspending", "resuming"
RESCUING, UNRESCUING = "rescuing", "unrescuing"
REBUILDING, REBUILD_SPAWNING = "rebuilding", "rebuild_spawning"
IMAGE_SNAPSHOT_PENDING, IMAGE_SNAPSHOT, IMAGE_BACKUP = "image_snapshot_pending", "image_snapshot", "image_backup"
IMAGE_UPLOADING = "image_uploading"
UPDATING_PASSWORD = "updating_password"  # noqa: S105 (a task_state)
RESIZE_PREP, RESIZE_MIGRATING, RESIZE_FINISH = "resize_prep", "resize_migrating", "resize_finish"
RESIZE_CONFIRMING, RESIZE_REVERTING = "resize_confirming", "resize_reverting"
SHELVING, SHELVING_UPLOADING = "shelving", "shelving_image_uploading"
SHELVING_OFFLOADING, UNSHELVING = "shelving_offloading", "unshelving"
MIGRATING = "migrating"

_END = {ERROR, DELETED}
TRANSITIONS: dict[str, set[str]] = {
    BUILDING: {ACTIVE, STOPPED, *_END},
    ACTIVE: {STOPPED, PAUSED, SUSPENDED, RESCUED, RESIZED, SHELVED, SHELVED_OFFLOADED, *_END},
    STOPPED: {ACTIVE, RESCUED, RESIZED, SHELVED, SHELVED_OFFLOADED, *_END},
    PAUSED: {ACTIVE, STOPPED, SHELVED, SHELVED_OFFLOADED, *_END},
    SUSPENDED: {ACTIVE, STOPPED, SHELVED, SHELVED_OFFLOADED, *_END},
    RESCUED: {ACTIVE, STOPPED, *_END},
    RESIZED: {ACTIVE, STOPPED, *_END},
    SHELVED: {ACTIVE, STOPPED, SHELVED_OFFLOADED, *_END},
    SHELVED_OFFLOADED: {ACTIVE, STOPPED, *_END},
    SOFT_DELETED: {ACTIVE, *_END},
    ERROR: {ACTIVE, STOPPED, RESCUED, *_END},
    DELETED: set(),
}
"""vm_state -> the vm_states that may follow."""

_Words = dict[str | None, str]
_REBUILD: _Words = dict.fromkeys((REBUILDING, REBUILD_SPAWNING), "REBUILD")
_RESIZE: _Words = dict.fromkeys((RESIZE_PREP, RESIZE_MIGRATING, RESIZE_FINISH), "RESIZE")
STATUSES: dict[str, _Words] = {
    BUILDING: {None: "BUILD"},
    ACTIVE: {None: "ACTIVE", REBOOTING: "REBOOT", REBOOTING_HARD: "HARD_REBOOT", UPDATING_PASSWORD: "PASSWORD",
             MIGRATING: "MIGRATING", **_REBUILD, **_RESIZE},
    STOPPED: {None: "SHUTOFF", REBOOTING_HARD: "HARD_REBOOT", **_REBUILD, **_RESIZE},
    PAUSED: {None: "PAUSED", MIGRATING: "MIGRATING"},
    SUSPENDED: {None: "SUSPENDED"},
    RESCUED: {None: "RESCUE"},
    RESIZED: {None: "VERIFY_RESIZE", RESIZE_REVERTING: "REVERT_RESIZE"},
    SHELVED: {None: "SHELVED"},
    SHELVED_OFFLOADED: {None: "SHELVED_OFFLOADED"},
    SOFT_DELETED: {None: "SOFT_DELETED"},
    ERROR: {None: "ERROR", REBOOTING_HARD: "HARD_REBOOT", **_REBUILD},
    DELETED: {None: "DELETED"},
}  # fmt: skip
"""vm_state -> task_state -> status; None is every task_state not named."""


def _when(*vm_states: str, tasks: tuple[str | None, ...] = (None,)) -> tuple[frozenset[str], frozenset[str | None]]:
    return frozenset(vm_states), frozenset(tasks)


_WITH_DISK = (ACTIVE, STOPPED, PAUSED, SUSPENDED)
COMMANDS: dict[str, tuple[frozenset[str], frozenset[str | None]]] = {
    "start": _when(STOPPED),
    "stop": _when(ACTIVE, ERROR),
    "reboot": _when(ACTIVE),
    "reboot_hard": _when(ACTIVE, STOPPED, PAUSED, SUSPENDED, ERROR, tasks=(None, REBOOTING)),
    "pause": _when(ACTIVE),
    "unpause": _when(PAUSED),
    "suspend": _when(ACTIVE),
    "resume": _when(SUSPENDED),
    "rescue": _when(ACTIVE, STOPPED, ERROR),
    "unrescue": _when(RESCUED),
    "rebuild": _when(ACTIVE, STOPPED, ERROR),
    "createImage": _when(*_WITH_DISK),
    "createBackup": _when(*_WITH_DISK),
    "changePassword": _when(ACTIVE),
    "resize": _when(ACTIVE, STOPPED),
    "confirmResize": _when(RESIZED),
    "revertResize": _when(RESIZED),
    "migrate": _when(ACTIVE, STOPPED),
    "os-migrateLive": _when(ACTIVE, PAUSED),
    "evacuate": _when(ACTIVE, STOPPED, ERROR),
    "shelve": _when(*_WITH_DISK),
    "shelveOffload": _when(SHELVED),
    "unshelve": _when(SHELVED, SHELVED_OFFLOADED),
    "restore": _when(SOFT_DELETED),
    "trigger_crash_dump": _when(ACTIVE, PAUSED, RESCUED, RESIZED, ERROR),
    "abort_live_migration": _when(ACTIVE, PAUSED, tasks=(MIGRATING,)),
    "force_complete": _when(ACTIVE, PAUSED, tasks=(MIGRATING,)),
    "change_interfaces": _when(ACTIVE, PAUSED, STOPPED),
    "get_diagnostics": _when(ACTIVE, PAUSED, RESCUED, RESIZED),
}
"""What may be asked for -> the vm_states and task_states in which it is possible."""

NOSTATE, RUNNING, POWER_PAUSED, SHUTDOWN, CRASHED, POWER_SUSPENDED = 0, 1, 3, 4, 6, 7
POWER_STATES = {
    "nostate": NOSTATE, "running": RUNNING, "paused": POWER_PAUSED, "shutdown": SHUTDOWN, "crashed": CRASHED,
    "suspended": SHUTDOWN,
}  # fmt: skip
"""The modules' words -> the API's numbers. A guest whose memory is saved to disk is off, as in Nova."""

BY_USER, BY_GUEST, BY_HOST = "user", "guest", "host"
"""Who stopped a server: a host that restarts starts again what it stopped itself, and nothing else."""

ON_HOST_RUNNING = frozenset({ACTIVE, PAUSED, RESCUED, RESIZED})
"""vm_states in which a guest has a process on its host."""


def status_of(vm_state: str, task_state: str | None) -> str:
    """The one word that the API shows."""
    by_task = STATUSES[vm_state]
    return by_task.get(task_state, by_task[None])
