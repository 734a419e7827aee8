"""Servers that exist: found, guarded by lock and state, locked, updated, deleted. Power is in power.py."""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import create, history, quotas
from api.compute.models import Server, ServerTag
from api.compute.states import COMMANDS, DELETED, DELETING
from api.db.base import utcnow
from api.db.events import announce
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, NotFound
from api.image import service as image
from api.network import service as network
from api.placement import service as placement

MAX_TAGS = 50


def get(session: Session, context: Context, server_id: str, *, deleted: bool = False) -> Server:
    """A server by id; 404 when it does not exist, is deleted, or is another project's (admins see all)."""
    query = select(Server).where(Server.id == server_id)
    if not context.is_admin:
        query = query.where(Server.project_id == (context.project_id or ""))
    if not (deleted and context.is_admin):
        query = query.where(Server.deleted.is_(False))
    server = session.scalar(query)
    if server is None:
        raise NotFound(f"Instance {server_id} could not be found.")
    return server


def for_change(session: Session, context: Context, server_id: str, rule: str) -> Server:
    """A server that the caller may change by `rule`."""
    server = get(session, context, server_id)
    policy.authorize(context, rule, {"project_id": server.project_id, "user_id": server.user_id})
    return server


def check(
    context: Context, server: Server, command: str, shown: str | None = None, *, locks: bool = True
) -> None:
    """409 when the server is locked, or in a state in which `command` is impossible. `shown` is its name for people."""
    if locks:
        check_lock(context, server)
    vm_states, task_states = COMMANDS[command]
    attribute = None
    if server.vm_state not in vm_states:
        attribute, state = "vm_state", server.vm_state
    elif server.task_state not in task_states:
        attribute, state = "task_state", str(server.task_state)
    if attribute:
        raise Conflict(f"Cannot '{shown or command}' instance {server.id} while it is in {attribute} {state}")


def check_lock(context: Context, server: Server) -> None:
    """409 when the server is locked, but for admins."""
    if server.locked_by and not context.is_admin:
        raise Conflict(f"Instance {server.id} is locked")


def delete(session: Session, context: Context, server: Server, action: str = "delete") -> None:
    """Deletes a server in any state. One that never had a host is gone at once, others when their host is clean.

    Asked again while it is being deleted, nothing happens.
    """
    check_lock(context, server)
    if server.task_state == DELETING:
        return
    detached = network.detach_ports(session, server.id, by=network.origin(context))
    server.detached = [*server.detached, *(dataclasses.asdict(port) for port in detached)]
    if server.host is None:
        history.begin(session, context, server, action)
        gone(session, server)
        return
    server.move(server.vm_state, task_state=DELETING)
    history.begin(session, context, server, action, "compute.server.delete")


def gone(session: Session, server: Server) -> None:
    """Nothing is left of the server but its row, for admins and `changes-since`."""
    placement.release(session, server.id)
    if server.shelved:
        image.discard_snapshot(session, server.shelved["image_id"])
    server.secret = server.shelved = server.rescue = server.resize = None
    server.move(DELETED)
    server.power_state, server.deleted, server.terminated_at, server.detached = 0, True, utcnow(), []
    server.vnc_port = None
    announce(session, "server.deleted", server_id=server.id)


def lock(session: Session, context: Context, server: Server, reason: str | None) -> None:
    """lock: nobody but admins changes the server until it is unlocked."""
    if server.locked_by == "admin" and not context.is_admin:
        raise Conflict(f"Instance {server.id} is locked")
    server.locked_by = "owner" if server.project_id == context.project_id and not context.is_admin else "admin"
    server.locked_reason = reason
    server.updated_at = utcnow()
    history.begin(session, context, server, "lock")


def unlock(session: Session, context: Context, server: Server) -> None:
    """unlock: an admin's lock only by an admin."""
    if server.locked_by == "admin":
        policy.authorize(context, "os_compute_api:os-lock-server:unlock:unlock_override")
    server.locked_by = server.locked_reason = None
    server.updated_at = utcnow()
    history.begin(session, context, server, "unlock")


def update(context: Context, server: Server, changes: dict[str, Any]) -> None:
    """PUT /servers/{id}: `changes` by column."""
    check_lock(context, server)
    if "hostname" in changes:
        changes["hostname"] = create.hostname_of(changes["hostname"], server.id)
    for name, value in changes.items():
        setattr(server, name, value)
    server.updated_at = utcnow()


def set_metadata(session: Session, context: Context, server: Server, items: dict[str, str]) -> None:
    """Replaces the metadata; 403 over quota, 409 while the server is locked or being deleted."""
    _check_records(context, server, "update metadata")
    quotas.check_metadata(session, server.project_id, len(items))
    server.meta = items
    server.updated_at = utcnow()


def set_tags(context: Context, server: Server, tags: list[str]) -> None:
    """Replaces the tags, keeping their order; 400 over MAX_TAGS."""
    _check_records(context, server, "update tags")
    wanted = list(dict.fromkeys(tags))
    if len(wanted) > MAX_TAGS:
        raise BadRequest(f"The number of tags exceeded the per-server limit {MAX_TAGS}")
    have = {row.tag: row for row in server.tags}
    for place, tag in enumerate(wanted):
        have.setdefault(tag, ServerTag(tag=tag)).position = place
    server.tags = [have[tag] for tag in wanted]
    server.updated_at = utcnow()


def _check_records(context: Context, server: Server, shown: str) -> None:
    check_lock(context, server)
    if server.task_state == DELETING:
        raise Conflict(f"Cannot '{shown}' instance {server.id} while it is in task_state {DELETING}")
