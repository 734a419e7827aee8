"""Server groups: which servers go to one host and which to different ones, as the scheduler reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from api.compute import quotas
from api.compute.group_models import ServerGroup
from api.compute.models import Server
from api.compute.scheduler import Grouping
from api.db.base import utcnow
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Forbidden, NotFound


def create(session: Session, context: Context, name: str, kind: str, rules: dict[str, Any]) -> ServerGroup:
    """Stores a group; 403 when the project has as many as it may."""
    project_id = context.project_id or ""
    limit = quotas.limits_of(session, project_id)["server_groups"]
    if 0 <= limit <= quotas.usage_of(session, project_id)["server_groups"]:
        raise Forbidden("Quota exceeded, too many server groups.")
    kept = {key: int(value) for key, value in rules.items()}
    group = ServerGroup(project_id=project_id, user_id=context.user_id, name=name, policy=kind, rules=kept)
    session.add(group)
    session.flush()
    return group


def get(session: Session, context: Context, group_id: str, rule: str) -> ServerGroup:
    """A group that the caller may use by `rule`; 404 when it does not exist or is another project's."""
    query = select(ServerGroup).where(ServerGroup.id == group_id)
    if not context.is_admin:
        query = query.where(ServerGroup.project_id == (context.project_id or ""))
    group = session.scalar(query)
    if group is None:
        raise NotFound(f"Instance group {group_id} could not be found.")
    policy.authorize(context, rule, {"project_id": group.project_id, "user_id": group.user_id})
    return group


def listed(session: Session, project_id: str | None, *, offset: int, limit: int) -> list[ServerGroup]:
    """The groups of a project, or of all, in the order of their making."""
    query = select(ServerGroup).order_by(ServerGroup.number).offset(offset).limit(limit)
    if project_id is not None:
        query = query.where(ServerGroup.project_id == project_id)
    return list(session.scalars(query))


def members(session: Session, group_ids: Iterable[str]) -> dict[str, list[str]]:
    """Group -> the ids of its servers."""
    found: dict[str, list[str]] = {id_: [] for id_ in group_ids}
    query = select(Server.group_id, Server.id).where(Server.group_id.in_(list(found)), Server.deleted.is_(False))
    for group_id, server_id in session.execute(query.order_by(Server.number)):
        found[str(group_id)].append(server_id)
    return found


def destroy(session: Session, group: ServerGroup) -> None:
    """Removes a group. Its servers stay where they are, in no group."""
    session.execute(update(Server).where(Server.group_id == group.id).values(group_id=None, updated_at=utcnow()))
    session.delete(group)


def grouping(session: Session, context: Context, group_id: str, adding: int, *, without: str = "") -> Grouping:
    """What the scheduler must know to place `adding` more servers; 400 for no such group, 403 over its size.

    The group's row is locked, so that two requests never both count the same members. `without` is a server that
    is about to move: it is not counted.
    """
    query = select(ServerGroup).where(ServerGroup.id == group_id).with_for_update()
    group = session.scalar(query)
    if group is None or (group.project_id != context.project_id and not context.is_admin):
        raise BadRequest(f"Instance group {group_id} could not be found.")
    rows = session.execute(
        select(Server.host, func.count())
        .where(Server.group_id == group_id, Server.deleted.is_(False), Server.id != without)
        .group_by(Server.host)
    ).all()
    limit = quotas.limits_of(session, group.project_id)["server_group_members"]
    if 0 <= limit < sum(int(number) for _, number in rows) + adding:
        raise Forbidden("Quota exceeded, too many servers in group")
    hosts = {str(host): int(number) for host, number in rows if host is not None}
    return Grouping(group.policy, int(group.rules.get("max_server_per_host", 1)), hosts)


def forget_project(session: Session, project_id: str) -> None:
    """Drops the groups of a project that goes. It has no servers any more."""
    for group in session.scalars(select(ServerGroup).where(ServerGroup.project_id == project_id)):
        destroy(session, group)
