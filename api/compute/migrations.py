"""The record of servers' ways to other sizes and hosts, as operators list it."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from api.compute.models import Migration
from api.compute.versions import Version

LIVE = "live-migration"
IN_PROGRESS = ("queued", "preparing", "running", "post-migrating")
LATER_FIELDS: tuple[tuple[Version, tuple[str, ...]], ...] = (
    ((2, 23), ("migration_type",)), ((2, 59), ("uuid",)), ((2, 80), ("user_id", "project_id")),
)  # fmt: skip
_HOSTS = ("dest_compute", "dest_host", "dest_node", "source_compute", "source_node")
FILTERS = {
    "status": Migration.status, "host": Migration.source_host, "instance_uuid": Migration.server_id,
    "source_compute": Migration.source_host, "migration_type": Migration.type, "user_id": Migration.user_id,
    "project_id": Migration.project_id,
}  # fmt: skip


def selected(filters: dict[str, str]) -> Select[Any]:
    """Migrations by the filters that Nova knows; `host` is either end of the way."""
    query = select(Migration)
    for name, value in filters.items():
        if name == "host":
            query = query.where((Migration.source_host == value) | (Migration.target_host == value))
        elif name in FILTERS:
            query = query.where(FILTERS[name] == value)
    return query


def in_progress(session: Session, server_id: str) -> list[Migration]:
    """A server's live migrations under way."""
    query = select(Migration).where(Migration.server_id == server_id, Migration.type == LIVE)
    return list(session.scalars(query.where(Migration.status.in_(IN_PROGRESS)).order_by(Migration.number)))


def shown(migration: Migration, version: Version, *, with_hosts: bool) -> dict[str, Any]:
    """As /os-migrations shows it at a microversion."""
    body: dict[str, Any] = {
        "id": migration.number, "uuid": migration.id, "instance_uuid": migration.server_id,
        "status": migration.status, "migration_type": migration.type, "created_at": _time(migration.created_at),
        "updated_at": _time(migration.updated_at), "old_instance_type_id": migration.old_flavor,
        "new_instance_type_id": migration.new_flavor, "user_id": migration.user_id,
        "project_id": migration.project_id, **_ends(migration, with_hosts=with_hosts),
    }  # fmt: skip
    for since, names in LATER_FIELDS:
        if version < since:
            for name in names:
                del body[name]
    return body


def shown_of_server(migration: Migration, version: Version, *, with_hosts: bool) -> dict[str, Any]:
    """As /servers/{id}/migrations shows it: sizes in bytes, which are known while QEMU tells them."""
    body: dict[str, Any] = {
        "id": migration.number, "server_uuid": migration.server_id, "status": migration.status,
        "created_at": _time(migration.created_at), "updated_at": _time(migration.updated_at),
        **dict.fromkeys(f"{kind}_{what}_bytes" for kind in ("memory", "disk")
                         for what in ("total", "processed", "remaining")),
        **_ends(migration, with_hosts=with_hosts),
    }  # fmt: skip
    if version >= (2, 59):
        body["uuid"] = migration.id
    if version >= (2, 80):
        body |= {"user_id": migration.user_id, "project_id": migration.project_id}
    return body


def _ends(migration: Migration, *, with_hosts: bool) -> dict[str, Any]:
    if not with_hosts:
        return dict.fromkeys(_HOSTS)
    target, source = migration.target_host, migration.source_host
    return {"dest_compute": target, "dest_host": target, "dest_node": target, "source_compute": source,
            "source_node": source}  # fmt: skip


def _time(time: datetime.datetime | None) -> str | None:
    """`2026-01-31T10:20:30.000000`, as this part of Nova writes times."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.%f")


