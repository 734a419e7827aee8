"""What of compute hangs on a project: its servers and server groups."""

from __future__ import annotations

from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import lifecycle, server_groups
from api.compute.group_models import ServerGroup
from api.compute.models import Server
from api.compute.states import DELETING
from api.http.context import Context
from api.http.hanging import Hanging, Purge

SERVER, GROUP = "compute.server", "compute.server_group"


def tell(session: Session, *, project_id: str, found: list[Hanging]) -> None:
    """Adds them to `found`."""
    query = select(Server).where(Server.project_id == project_id, Server.deleted.is_(False))
    for server in session.scalars(query):
        found.append(Hanging(SERVER, server.id, server.name, server.task_state or server.vm_state))
    for group in session.scalars(select(ServerGroup).where(ServerGroup.project_id == project_id)):
        found.append(Hanging(GROUP, group.id, group.name))


def purge(session: Session, *, context: Context, purge: Purge) -> None:
    """Deletes the servers, whose hosts then have to be cleaned, and the groups."""
    query = select(Server).where(Server.project_id == context.project_id, Server.deleted.is_(False))
    for server in session.scalars(query).all():
        if server.task_state != DELETING:
            purge.remove(session, SERVER, server.id, partial(lifecycle.delete, session, context, server))
    for group in session.scalars(select(ServerGroup).where(ServerGroup.project_id == context.project_id)).all():
        purge.remove(session, GROUP, group.id, partial(server_groups.destroy, session, group))
