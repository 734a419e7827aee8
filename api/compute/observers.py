"""What hosts report of guests: a guest that ends by itself is SHUTOFF, a host that restarts gets its guests back.

While a server has a task_state its job decides, and events of its guest are the job's own doing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import history
from api.compute.models import ComputeService, Server
from api.compute.states import (
    ACTIVE,
    BY_GUEST,
    BY_HOST,
    BY_USER,
    CRASHED,
    ON_HOST_RUNNING,
    PAUSED,
    POWER_STATES,
    POWERING_OFF,
    POWERING_ON,
    RESCUED,
    RESIZED,
    RUNNING,
    SHUTDOWN,
    STOPPED,
    SUSPENDED,
)
from api.engine.actions import observe

REASONS = {
    "guest_shutdown": "The guest powered itself off.",
    "host_shutdown": "The host asked the guest's process to end.",
    "destroyed": "The guest's power was taken on the host.",
    "killed": "The guest's process (QEMU) ended without a word: it crashed or was killed.",
    "crashed": "The guest's kernel crashed.",
    "migrated": "The guest moved away from the host.",
    "saved": "The guest was saved to a file on the host.",
    "from_snapshot": "The guest was reverted to a snapshot on the host.",
    "start_failed": "The guest did not start.",
    "daemon": "libvirt stopped the guest.",
}
UNKNOWN_REASON = "The guest stopped; the host does not say why."
_OFF = (SHUTDOWN, CRASHED)


def domain_changed(session: Session, host: str, message: dict[str, Any]) -> None:
    """One guest's event."""
    query = select(Server).where(Server.id == message["id"], Server.host == host, Server.deleted.is_(False))
    server = session.scalar(query)
    if server is not None and server.task_state is None:
        _apply(session, server, str(message.get("power_state")), str(message.get("reason") or ""))


def snapshot_taken(session: Session, host: str, message: dict[str, Any]) -> None:
    """Everything on a host. Without `domains` libvirt does not answer, and nothing is known of guests."""
    if "domains" not in message:
        return
    if _restarted(session, host, message.get("host") or {}):
        bring_back(session, host)
    seen = {str(domain["id"]): domain for domain in message["domains"]}
    for server in _servers_on(session, host):
        domain = seen.get(server.id, {"power_state": "nostate", "reason": ""})
        _apply(session, server, str(domain["power_state"]), str(domain.get("reason") or ""))


def host_restarted(session: Session, host: str, message: dict[str, Any]) -> None:
    """The host booted anew."""
    _restarted(session, host, message.get("host") or message)
    bring_back(session, host)


def bring_back(session: Session, host: str) -> None:
    """Starts again what should run on a host: what was running when it went, and what it stopped itself."""
    for server in _servers_on(session, host):
        if server.vm_state in ON_HOST_RUNNING or (server.vm_state == STOPPED and server.stopped_by == BY_HOST):
            # A paused guest's memory went with the host: it runs again from its disk.
            server.move(ACTIVE if server.vm_state == PAUSED else server.vm_state, task_state=POWERING_ON)
            history.observed(session, server, "start", "The host restarted.", "compute.server.converge")


def _servers_on(session: Session, host: str) -> list[Server]:
    query = select(Server).where(Server.host == host, Server.deleted.is_(False), Server.task_state.is_(None))
    return list(session.scalars(query.order_by(Server.number)))


def _restarted(session: Session, host: str, facts: dict[str, Any]) -> bool:
    """Whether the host runs another boot than the one that compute has dealt with; notes it."""
    boot_id = facts.get("boot_id")
    if not boot_id:
        return False
    known = session.get(ComputeService, (host, "nova-compute"))
    if known is None:
        session.add(ComputeService(host=host, binary="nova-compute", boot_id=boot_id))
        session.flush()
        return False
    earlier, known.boot_id = known.boot_id, boot_id
    return earlier is not None and earlier != boot_id


def _apply(session: Session, server: Server, word: str, reason: str) -> None:
    """Brings a server's row to what its guest is, or the guest to what the tenant asked for."""
    power_state = POWER_STATES.get(word, 0)
    off = power_state in _OFF or word == "nostate"
    if server.vm_state in (ACTIVE, PAUSED) and off:
        _stopped(session, server, power_state or SHUTDOWN, reason)
    elif server.vm_state in (ACTIVE, RESCUED, RESIZED):
        if power_state and power_state != server.power_state:
            server.power_state = power_state
    elif server.vm_state == STOPPED and power_state == RUNNING and server.stopped_by == BY_USER:
        server.move(STOPPED, task_state=POWERING_OFF)
        history.observed(session, server, "stop", "The guest was running though it was stopped by its user.",
                         "compute.server.stop")  # fmt: skip
    elif server.vm_state in (STOPPED, PAUSED, SUSPENDED) and power_state == RUNNING:
        server.power_state, server.stopped_by = RUNNING, None
        server.move(ACTIVE)
        history.observed(session, server, "start", "The guest was started on its host.")


def _stopped(session: Session, server: Server, power_state: int, reason: str) -> None:
    server.power_state, server.vnc_port = power_state, None
    server.stopped_by = BY_HOST if reason == "host_shutdown" else BY_GUEST
    server.move(STOPPED)
    history.observed(session, server, "stop", REASONS.get(reason, UNKNOWN_REASON))


def subscribe() -> None:
    """Lets the engine call these."""
    observe("domain", domain_changed)
    observe("snapshot", snapshot_taken)
    observe("host_restarted", host_restarted)
