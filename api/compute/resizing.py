"""resize, confirmResize, revertResize: another flavor on the same host, with the old disk kept until it is confirmed.

While a resize is to be confirmed the server claims the larger of both flavors' processors and memory, as only one of
both runs, and the sum of their disks, as both are there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import flavors, history, images, placing, quotas
from api.compute.lifecycle import check
from api.compute.models import Flavor, Migration, Server
from api.compute.states import ACTIVE, RESIZE_CONFIRMING, RESIZE_PREP, RESIZE_REVERTING, RESIZED, RUNNING, STOPPED
from api.config import settings
from api.db.base import new_uuid, utcnow
from api.http.context import Context
from api.http.faults import BadRequest, Conflict
from api.placement.models import DISK_GB


def resize(session: Session, context: Context, server: Server, flavor_id: str, disk_config: str | None) -> None:
    """resize. 400 for a flavor that does not fit, 403 over quota."""
    check(context, server, "resize")
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
    flavor = _flavor(session, context, server, flavor_id)
    wanted = flavors.snapshot(flavor)
    images.check_fit(server.image, wanted["ram"], wanted["disk"])
    if (server.flavor["disk"] or 0) > wanted["disk"]:
        raise BadRequest("Flavor's disk is too small for the server: disks cannot be made smaller. Choose a flavor "
                         f"with a disk of at least {server.flavor['disk']} GB.")  # fmt: skip
    quotas.check_growth(session, server.project_id, vcpus=wanted["vcpus"] - server.flavor["vcpus"],
                        ram_mb=wanted["ram"] - server.flavor["ram"])  # fmt: skip
    try:
        placing.claim(session, server, _both(server, wanted))
    except placing.NoCapacity as error:
        raise BadRequest(placing.no_valid_host(context, {server.host: str(error)})) from None
    migration = Migration(
        server_id=server.id, project_id=server.project_id, user_id=context.user_id, type="resize",
        status="pre-migrating", source_host=server.host, target_host=server.host, new_flavor=flavor.number,
        old_flavor=session.scalar(select(Flavor.number).where(Flavor.id == server.flavor_id)),
    )  # fmt: skip
    session.add(migration)
    session.flush()
    server.resize = {
        "migration": migration.number, "was": server.vm_state,
        "old": {"flavor_id": server.flavor_id, "flavor": server.flavor, "root_disk": server.root_disk},
        "new": {"flavor_id": flavor.id, "flavor": wanted, "root_disk": f"disk-{new_uuid()[:8]}"},
    }  # fmt: skip
    if disk_config:
        server.disk_config = disk_config
    server.move(server.vm_state, task_state=RESIZE_PREP)
    history.begin(session, context, server, "resize", "compute.server.resize")


def _flavor(session: Session, context: Context, server: Server, flavor_id: str) -> Flavor:
    query = select(Flavor) if context.is_admin else flavors.visible(context)
    flavor: Flavor | None = session.scalar(query.where(Flavor.id == flavor_id, Flavor.disabled.is_(False)))
    if flavor is None:
        raise BadRequest(f"Flavor {flavor_id} could not be found.")
    if flavor.id == server.flavor_id:
        raise BadRequest("When resizing, instances must change flavor!")
    if flavor.ephemeral_gb or flavor.swap_mb:
        raise BadRequest(f"Flavor {flavor_id} has an ephemeral or swap disk, which this cloud does not offer. "
                         "Choose a flavor without.")  # fmt: skip
    return flavor


def _both(server: Server, wanted: dict[str, Any]) -> dict[str, int]:
    old, new = placing.resources(server.flavor, server.image), placing.resources(wanted, server.image)
    return {name: old[name] + new[name] if name == DISK_GB else max(old[name], new[name]) for name in new}


def confirm(session: Session, context: Context, server: Server) -> None:
    """confirmResize: the old disk goes."""
    check(context, server, "confirmResize")
    server.move(RESIZED, task_state=RESIZE_CONFIRMING)
    _mark(session, server, "confirming")
    history.begin(session, context, server, "confirmResize", "compute.server.confirm_resize")


def revert(session: Session, context: Context, server: Server) -> None:
    """revertResize: the server is again what it was, with the disk that it had then."""
    check(context, server, "revertResize")
    server.move(RESIZED, task_state=RESIZE_REVERTING)
    _mark(session, server, "reverting")
    history.begin(session, context, server, "revertResize", "compute.server.revert_resize")


def resized(session: Session, server: Server) -> None:
    """The guest has its new shape; it waits to be confirmed."""
    plan = server.resize or {}
    become(server, plan["new"])
    server.move(RESIZED)
    server.fault = None
    server.resize = plan | {"at": utcnow().isoformat()}
    _mark(session, server, "finished")


def confirmed(session: Session, server: Server) -> None:
    """Nothing is left of the old shape."""
    placing.claim(session, server, placing.resources(server.flavor, server.image))
    _mark(session, server, "confirmed")
    server.resize = None
    server.move(ACTIVE if server.power_state == RUNNING else STOPPED)


def reverted(session: Session, server: Server) -> None:
    """The guest has its old shape again, and nothing is left of the new one."""
    become(server, (server.resize or {})["old"])
    placing.claim(session, server, placing.resources(server.flavor, server.image))
    _mark(session, server, "reverted")
    server.resize = None


def failed(session: Session, server: Server) -> None:
    """The resize came to nothing: the server is what it was, on the disk that it had."""
    placing.claim(session, server, placing.resources(server.flavor, server.image))
    _mark(session, server, "error")
    server.resize = None


def become(server: Server, shape: dict[str, Any]) -> None:
    """The server is of another flavor and has another disk."""
    server.flavor_id, server.flavor, server.root_disk = shape["flavor_id"], shape["flavor"], shape["root_disk"]


def _mark(session: Session, server: Server, status: str) -> None:
    migration = session.get(Migration, (server.resize or {}).get("migration", 0))
    if migration is not None:
        migration.status, migration.updated_at = status, utcnow()


def confirm_overdue(session: Session) -> None:
    """Confirms what waits too long."""
    for server in overdue(session):
        server.move(RESIZED, task_state=RESIZE_CONFIRMING)
        _mark(session, server, "confirming")
        history.observed(session, server, "confirmResize", "The time to confirm the resize is over.",
                         "compute.server.confirm_resize")  # fmt: skip


def overdue(session: Session) -> list[Server]:
    """Servers whose resize waits longer to be confirmed than `[compute] resize_confirm_window_s` allows (0: ever)."""
    window_s = settings().compute.resize_confirm_window_s
    if window_s <= 0:
        return []
    query = select(Server).where(Server.vm_state == RESIZED, Server.task_state.is_(None), Server.deleted.is_(False))
    now = utcnow()
    return [server for server in session.scalars(query) if (now - server.updated_at).total_seconds() >= window_s]
