"""Questions that only a server's host can answer: a job whose result the caller waits for, without a transaction."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.orm import Session

from api.compute.models import Server
from api.db.session import database
from api.engine.actions import enqueue
from api.engine.models import DONE, UNFINISHED, Job
from api.http.context import Context
from api.http.faults import Conflict, GatewayTimeout

WAIT_S = 15.0
_POLL_S = 0.05


def ask(session: Session, context: Context, server: Server, job: str, args: dict[str, Any] | None = None) -> str:
    """Queues a query of the server's host; 409 for a server that has none yet. Returns the job's id."""
    if server.host is None or server.vm_state == "building":
        raise Conflict(f"Instance {server.id} is not ready")
    queued = enqueue(
        session, job, resources=[("server", server.id)], request_id=context.request_id,
        global_request_id=context.global_request_id, user_id=context.user_id, project_id=server.project_id, args=args,
    )  # fmt: skip
    return queued.id


def wait(job_id: str, server_id: str, doing: str, within_s: float = WAIT_S) -> dict[str, Any]:
    """What the job found out of the server; 409 with the reason when it failed, 504 after `within_s`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with database().read() as session:
            state, result, error = session.query(Job.state, Job.result, Job.error).filter(Job.id == job_id).one()
        if state == DONE:
            found: dict[str, Any] = (result or {}).get("results", {}).get(server_id, {})
            return found
        if state not in UNFINISHED:
            raise Conflict(f"{doing} failed: {(error or {}).get('message', 'the host did not answer')}")
        time.sleep(_POLL_S)
    raise GatewayTimeout(f"The host did not answer within {within_s:.0f} s. Try again.")
