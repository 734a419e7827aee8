"""What is asked of a guest's power: start, stop, reboot, pause, suspend, and the crash of its kernel."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.compute import history
from api.compute.lifecycle import check
from api.compute.models import Server
from api.compute.states import (
    BY_USER,
    PAUSING,
    POWERING_OFF,
    POWERING_ON,
    REBOOTING,
    REBOOTING_HARD,
    RESUMING,
    SUSPENDING,
    UNPAUSING,
)
from api.http.context import Context
from api.http.faults import Conflict


def start(session: Session, context: Context, server: Server) -> None:
    """os-start."""
    check(context, server, "start")
    server.move(server.vm_state, task_state=POWERING_ON)
    history.begin(session, context, server, "start", "compute.server.start")


def stop(session: Session, context: Context, server: Server) -> None:
    """os-stop."""
    check(context, server, "stop")
    _check_host(server)
    server.stopped_by = BY_USER
    server.move(server.vm_state, task_state=POWERING_OFF)
    history.begin(session, context, server, "stop", "compute.server.stop")


def reboot(session: Session, context: Context, server: Server, *, hard: bool) -> None:
    """reboot: a soft one asks the guest and becomes a hard one when it does not follow."""
    check(context, server, "reboot_hard" if hard else "reboot", "reboot")
    _check_host(server)
    server.move(server.vm_state, task_state=REBOOTING_HARD if hard else REBOOTING)
    history.begin(session, context, server, "reboot", "compute.server.reboot", {"type": "hard" if hard else "soft"})


def pause(session: Session, context: Context, server: Server) -> None:
    """pause: the guest's processors stop, its memory stays where it is."""
    check(context, server, "pause")
    server.move(server.vm_state, task_state=PAUSING)
    history.begin(session, context, server, "pause", "compute.server.pause")


def unpause(session: Session, context: Context, server: Server) -> None:
    """unpause."""
    check(context, server, "unpause")
    server.move(server.vm_state, task_state=UNPAUSING)
    history.begin(session, context, server, "unpause", "compute.server.unpause")


def suspend(session: Session, context: Context, server: Server) -> None:
    """suspend: the guest's memory goes to a file on its host, and its process ends."""
    check(context, server, "suspend")
    server.move(server.vm_state, task_state=SUSPENDING)
    history.begin(session, context, server, "suspend", "compute.server.suspend")


def resume(session: Session, context: Context, server: Server) -> None:
    """resume: the guest goes on where it was suspended."""
    check(context, server, "resume")
    server.move(server.vm_state, task_state=RESUMING)
    history.begin(session, context, server, "resume", "compute.server.resume")


def trigger_crash_dump(session: Session, context: Context, server: Server) -> None:
    """trigger_crash_dump: a non-maskable interrupt, on which a guest that is set up so dumps its kernel."""
    check(context, server, "trigger_crash_dump")
    _check_host(server)
    history.begin(session, context, server, "trigger_crash_dump", "compute.server.interrupt")


def _check_host(server: Server) -> None:
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
