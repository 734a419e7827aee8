"""Actions on a guest's power: start, stop, reboot, pause, suspend; and lock."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.compute import lifecycle, power, schemas, versions
from api.compute.models import Server
from api.compute.routes.dispatch import server_action
from api.http.current import context
from api.http.microversions import at_least
from api.http.validation import Schema


@server_action("os-start", "servers:start")
def start(session: Session, server: Server, _value: Any) -> None:
    power.start(session, context(), server)


@server_action("os-stop", "servers:stop")
def stop(session: Session, server: Server, _value: Any) -> None:
    power.stop(session, context(), server)


@server_action("reboot", "servers:reboot", schemas.REBOOT)
def reboot(session: Session, server: Server, value: Any) -> None:
    power.reboot(session, context(), server, hard=value["type"].upper() == "HARD")


@server_action("pause", "os-pause-server:pause")
def pause(session: Session, server: Server, _value: Any) -> None:
    power.pause(session, context(), server)


@server_action("unpause", "os-pause-server:unpause")
def unpause(session: Session, server: Server, _value: Any) -> None:
    power.unpause(session, context(), server)


@server_action("suspend", "os-suspend-server:suspend")
def suspend(session: Session, server: Server, _value: Any) -> None:
    power.suspend(session, context(), server)


@server_action("resume", "os-suspend-server:resume")
def resume(session: Session, server: Server, _value: Any) -> None:
    power.resume(session, context(), server)


@server_action("trigger_crash_dump", "servers:trigger_crash_dump", since=(2, 17))
def trigger_crash_dump(session: Session, server: Server, _value: Any) -> None:
    power.trigger_crash_dump(session, context(), server)


def _lock_schema(version: versions.Version) -> Schema:
    return schemas.LOCK if version >= versions.LOCKED_REASON else schemas.ANYTHING


@server_action("lock", "os-lock-server:lock", _lock_schema)
def lock(session: Session, server: Server, value: Any) -> None:
    details = (value or {}) if at_least(2, 73) else {}
    lifecycle.lock(session, context(), server, details.get("locked_reason"))


@server_action("unlock", "os-lock-server:unlock")
def unlock(session: Session, server: Server, _value: Any) -> None:
    lifecycle.unlock(session, context(), server)
