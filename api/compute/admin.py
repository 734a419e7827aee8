"""What operators do to a server's record: its state said anew, its deletion by force."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.compute import history
from api.compute.models import Server
from api.compute.states import ACTIVE, ERROR
from api.db.base import utcnow
from api.http.context import Context


def reset_state(session: Session, context: Context, server: Server, state: str) -> None:
    """os-resetState: `active` or `error`, whatever the state machine says; nothing happens on the host."""
    server.vm_state, server.task_state = (ACTIVE if state == "active" else ERROR), None
    if server.vm_state == ACTIVE:
        server.fault = None
    server.updated_at = utcnow()
    history.begin(session, context, server, "reset_state")
