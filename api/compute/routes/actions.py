"""POST /servers/{id}/action."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from flask import Response

from api.compute import lifecycle, schemas
from api.compute.models import Server
from api.compute.routes.base import V2, answer, blueprint, target
from api.db.session import database
from api.engine.actions import enqueue
from api.engine.models import DONE, UNFINISHED, Job
from api.http import policy
from api.http.current import context, write_session
from api.http.faults import BadRequest, Conflict, GatewayTimeout
from api.http.microversions import at_least
from api.http.responses import empty
from api.http.validation import json_body

CONSOLE_WAIT_S = 15.0
_POLL_S = 0.05


def _start(server_id: str, body: dict[str, Any]) -> Response:
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, "os_compute_api:servers:start")
    lifecycle.start(session, context(), server)
    return empty(202)


def _stop(server_id: str, body: dict[str, Any]) -> Response:
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, "os_compute_api:servers:stop")
    lifecycle.stop(session, context(), server)
    return empty(202)


def _reboot(server_id: str, body: dict[str, Any]) -> Response:
    hard = schemas.REBOOT.check(body)["reboot"]["type"].upper() == "HARD"
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, "os_compute_api:servers:reboot")
    lifecycle.reboot(session, context(), server, hard=hard)
    return empty(202)


def _lock(server_id: str, body: dict[str, Any]) -> Response:
    details = (schemas.LOCK.check(body)["lock"] or {}) if at_least(2, 73) else {}
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, "os_compute_api:os-lock-server:lock")
    lifecycle.lock(context(), server, details.get("locked_reason"))
    return empty(202)


def _unlock(server_id: str, body: dict[str, Any]) -> Response:
    session = write_session()
    server = lifecycle.for_change(session, context(), server_id, "os_compute_api:os-lock-server:unlock")
    lifecycle.unlock(context(), server)
    return empty(202)


def _console(server_id: str, body: dict[str, Any]) -> Response:
    """A query of the host: the job is committed by itself, and its result waited for without a transaction."""
    length = (schemas.CONSOLE.check(body)["os-getConsoleOutput"] or {}).get("length")
    with database().write() as session:
        server = lifecycle.get(session, context(), server_id)
        policy.authorize(context(), "os_compute_api:os-console-output", target(server))
        if server.host is None or server.vm_state == "building":
            raise Conflict(f"Instance {server_id} is not ready")
        job_id = _query_console(session, server, None if length in (None, "", -1, "-1") else int(length))
    return answer({"output": _output(job_id, server_id)})


def _query_console(session: Any, server: Server, length: int | None) -> str:
    job = enqueue(
        session, "compute.server.console", resources=[("server", server.id)], request_id=context().request_id,
        global_request_id=context().global_request_id, user_id=context().user_id, project_id=server.project_id,
        args={"length": length},
    )  # fmt: skip
    return job.id


def _output(job_id: str, server_id: str) -> str:
    deadline = time.monotonic() + CONSOLE_WAIT_S
    while time.monotonic() < deadline:
        with database().read() as session:
            state, result, error = session.query(Job.state, Job.result, Job.error).filter(Job.id == job_id).one()
        if state == DONE:
            return str((result or {}).get("results", {}).get(server_id, {}).get("output", ""))
        if state not in UNFINISHED:
            raise Conflict(f"The console could not be read: {(error or {}).get('message', 'the host did not answer')}")
        time.sleep(_POLL_S)
    raise GatewayTimeout(f"The host did not answer within {CONSOLE_WAIT_S:.0f} s. Try again.")


_HANDLERS: dict[str, Callable[[str, dict[str, Any]], Response]] = {
    "os-start": _start, "os-stop": _stop, "reboot": _reboot, "lock": _lock, "unlock": _unlock,
    "os-getConsoleOutput": _console,
}  # fmt: skip


@blueprint.post(f"{V2}/servers/<server_id>/action")
def act(server_id: str) -> Response:
    body = json_body()
    if len(body) != 1:
        raise BadRequest("Name exactly one action in the request body.")
    (name,) = body
    if name not in _HANDLERS:
        raise BadRequest(f"There is no such action: {name[:100]}")
    return _HANDLERS[name](server_id, body)
