"""changePassword: by QEMU's guest agent in the running guest."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.compute import history, plans, sealing
from api.compute.lifecycle import check
from api.compute.models import Server
from api.compute.states import UPDATING_PASSWORD
from api.http.context import Context
from api.http.faults import Conflict


def change(session: Session, context: Context, server: Server, password: str) -> str:
    """Asks for a new password of the guest's administrator; the id of the job whose end the caller waits for.

    409 when no agent can be there, because the server's image does not say so (`hw_qemu_guest_agent`).
    """
    check(context, server, "changePassword")
    if not plans.has_guest_agent(server):
        raise Conflict(f"Failed to set admin password on {server.id} because QEMU guest agent is not enabled: its "
                       "image needs the property hw_qemu_guest_agent=yes and the agent.")  # fmt: skip
    server.move(server.vm_state, task_state=UPDATING_PASSWORD)
    noted = history.begin(session, context, server, "changePassword", "compute.server.password",
                          {"password": sealing.seal(password)})  # fmt: skip
    return str(noted.job_id)


def user_of(server: Server) -> str:
    """Whose password it is: the image's `os_admin_user`, else the usual administrator of its system."""
    properties = server.image.get("properties", {})
    default = "Administrator" if str(properties.get("os_type", "")).lower() == "windows" else "root"
    return str(properties.get("os_admin_user") or default)
