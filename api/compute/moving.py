"""migrate, os-migrateLive, evacuate: to another host. What they refuse, they refuse as Nova does.

Each asks the scheduler for another host first, so a cloud of one host answers that no valid host was found.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.compute import placing
from api.compute.lifecycle import check
from api.compute.models import Server
from api.db.hosts import list_hosts
from api.http.context import Context
from api.http.faults import BadRequest
from api.placement import service as placement
from api.placement.service import HostState

_NOT_YET = "The server stays on {here}: {there} could take it, but this version moves no disks between hosts."


def migrate(session: Session, context: Context, server: Server, host: str | None = None) -> None:
    """migrate: cold, to the scheduler's host or (2.56) a chosen one."""
    check(context, server, "migrate")
    _refuse(server, _destination(session, context, server, host))


def migrate_live(session: Session, context: Context, server: Server, host: str | None) -> None:
    """os-migrateLive: without stopping the guest."""
    check(context, server, "os-migrateLive")
    _refuse(server, _destination(session, context, server, host))


def evacuate(session: Session, context: Context, server: Server, host: str | None) -> None:
    """evacuate: from a host that is down; 400 while it is up."""
    check(context, server, "evacuate")
    if any(state.host == server.host and state.is_up for state in placement.candidates(session)):
        raise BadRequest(f"Compute service of {server.host} is still in use.")
    _refuse(server, _destination(session, context, server, host))


def _destination(session: Session, context: Context, server: Server, host: str | None) -> HostState:
    if host is not None and host not in {known.name for known in list_hosts(session)}:
        raise BadRequest(f"Compute host {host} could not be found.")
    if host is not None and host == server.host:
        raise BadRequest(f"Unable to migrate instance ({server.id}) to current host ({host}).")
    return placing.find(session, context, server, zone=server.pinned_zone, host=host, elsewhere=True)


def _refuse(server: Server, there: HostState) -> None:
    raise BadRequest(_NOT_YET.format(here=server.host, there=there.host))
