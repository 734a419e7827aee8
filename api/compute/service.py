"""Compute's face to other services and the engine."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.compute import (
    flavors,
    hanging,
    keypairs,
    metadata,
    observers,
    quotas,
    server_groups,
)
from api.compute.models import Server
from api.db.events import subscribe as hear
from api.http.faults import Conflict
from api.network import service as network

__all__ = ["metadata_at", "subscribe"]


def metadata_at(
    session: Session, *, network_id: str | None, router_id: str | None, address: str
) -> tuple[str, Server, metadata.Documents] | None:
    """Port id, server and documents of the guest that has `address` on a network or behind a router; None if nobody."""
    port = network.port_at(session, network_id=network_id, router_id=router_id, address=address)
    if port is None or not port.server_id:
        return None
    server = session.scalar(select(Server).where(Server.id == port.server_id, Server.deleted.is_(False)))
    return None if server is None else (port.id, server, metadata.documents(session, server))


def _project_goes(session: Session, project_id: str) -> None:
    """A project with servers stays: nobody could delete them any more, or would pay for them."""
    query = select(func.count()).select_from(Server).where(Server.project_id == project_id, Server.deleted.is_(False))
    if count := session.scalar(query):
        raise Conflict(f"Project {project_id} still has {count} servers. Delete them first.")
    quotas.reset(session, project_id)
    flavors.forget_project(session, project_id)
    server_groups.forget_project(session, project_id)


def _user_goes(session: Session, user_id: str) -> None:
    keypairs.forget_user(session, user_id)


def subscribe() -> None:
    """Listens to identity, and lets the engine call the observers."""
    hear("project.before_delete", _project_goes)
    hear("user.before_delete", _user_goes)
    hear("project.hangs_on", hanging.tell)
    hear("project.purge", hanging.purge)
    observers.subscribe()
