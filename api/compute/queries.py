"""Lists of servers: filters by microversion and right, sorting, paging."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from sqlalchemy import ColumnElement, Select, and_, false, func, or_, select
from sqlalchemy.orm import Session

from api.compute import versions
from api.compute.models import Server, ServerTag
from api.compute.states import DELETED, STATUSES
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Forbidden
from api.http.paging import Column, whole_number
from api.network import service as network

MAX_LIMIT = 1000
SORT_KEYS: dict[str, Column] = {
    "created_at": Server.created_at, "updated_at": Server.updated_at, "uuid": Server.id, "display_name": Server.name,
    "name": Server.name, "vm_state": Server.vm_state, "task_state": Server.task_state,
    "power_state": Server.power_state, "launched_at": Server.launched_at, "terminated_at": Server.terminated_at,
    "key_name": Server.key_name, "user_id": Server.user_id, "project_id": Server.project_id,
    "image_ref": Server.image_id, "instance_type_id": Server.flavor_id, "availability_zone": Server.availability_zone,
    "display_description": Server.description, "config_drive": Server.config_drive, "hostname": Server.hostname,
    "launch_index": Server.launch_index, "reservation_id": Server.reservation_id, "access_ip_v4": Server.access_ip_v4,
    "access_ip_v6": Server.access_ip_v6, "host": Server.host, "node": Server.host,
    "locked": Server.locked_by,
}  # fmt: skip

_COLUMNS: dict[str, Column] = {
    "user_id": Server.user_id, "image": Server.image_id, "image_ref": Server.image_id, "flavor": Server.flavor_id,
    "host": Server.host, "node": Server.host, "reservation_id": Server.reservation_id, "key_name": Server.key_name,
    "availability_zone": Server.availability_zone, "vm_state": Server.vm_state, "task_state": Server.task_state,
    "uuid": Server.id, "hostname": Server.hostname, "description": Server.description,
    "display_description": Server.description, "access_ip_v4": Server.access_ip_v4,
    "access_ip_v6": Server.access_ip_v6,
}  # fmt: skip
_EVERYONE: dict[str, versions.Version] = {
    "reservation_id": (2, 1), "name": (2, 1), "status": (2, 1), "image": (2, 1), "flavor": (2, 1), "ip": (2, 1),
    "changes-since": (2, 1), "all_tenants": (2, 1), "ip6": (2, 5), "tags": (2, 26), "tags-any": (2, 26),
    "not-tags": (2, 26), "not-tags-any": (2, 26), "changes-before": (2, 66), "locked": (2, 73),
    "availability_zone": (2, 83), "config_drive": (2, 83), "key_name": (2, 83), "created_at": (2, 83),
    "launched_at": (2, 83), "terminated_at": (2, 83), "power_state": (2, 83), "task_state": (2, 83),
    "vm_state": (2, 83), "progress": (2, 83), "user_id": (2, 83), "hostname": (2, 90),
}  # fmt: skip
"""Filters that are not for admins only, and since when."""
_ADMINS = frozenset(_COLUMNS) | {
    "project_id", "tenant_id", "deleted", "power_state", "config_drive", "created_at", "launched_at", "terminated_at",
    "launch_index", "display_name", "progress", "auto_disk_config", "root_device_name", "soft_deleted", "kernel_id",
    "ramdisk_id", "locked_by", "display_description",
}  # fmt: skip
_PAGING = frozenset({"limit", "marker", "sort_key", "sort_dir"})
_UNSUPPORTED = frozenset({
    "block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices",
})  # fmt: skip


def filters_of(context: Context, version: versions.Version, query: Mapping[str, str]) -> dict[str, str]:
    """The filters that count for this caller; unknown ones are 400 from 2.75 on, before they are ignored."""
    everything = policy.allowed(context, "os_compute_api:servers:allow_all_filters")
    known = _ADMINS | {name for name, since in _EVERYONE.items() if version >= since}
    unknown = [name for name in query if name not in known | _PAGING | _UNSUPPORTED]
    if unknown and version >= versions.UNIFIED:
        raise BadRequest(f"Invalid input for query parameters: {unknown[0]!r} is not a parameter of this list.")
    return {name: value for name, value in query.items()
            if (name in known and everything) or version >= _EVERYONE.get(name, (9, 0))}  # fmt: skip


def select_servers(session: Session, context: Context, version: versions.Version, filters: Mapping[str, str],
                   rule: str) -> Select[Any]:  # fmt: skip
    """The servers that match. `rule` is the list's policy, of which `:get_all_tenants` is the wider form."""
    query = select(Server)
    if boolean("all_tenants", filters.get("all_tenants")):
        policy.authorize(context, f"{rule}:get_all_tenants")
        if project_id := filters.get("project_id") or filters.get("tenant_id"):
            query = query.where(Server.project_id == project_id)
    else:
        query = query.where(Server.project_id == (context.project_id or ""))
    query = query.where(*_of_age(context, filters), *_of_columns(filters))
    if "status" in filters:
        query = query.where(_of_status(context, version, filters["status"]))
    query = query.where(*_of_tags(filters))
    if "locked" in filters:
        is_locked = boolean("locked", filters["locked"])
        query = query.where(Server.locked_by.is_not(None) if is_locked else Server.locked_by.is_(None))
    return _by_pattern(session, query, filters)


def _of_age(context: Context, filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    since, before = filters.get("changes-since"), filters.get("changes-before")
    conditions: list[ColumnElement[bool]] = []
    if since is not None:
        conditions.append(Server.updated_at >= moment("changes-since", since))
    if before is not None:
        conditions.append(Server.updated_at <= moment("changes-before", before))
        if since is not None and moment("", since) > moment("", before):
            raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    deleted = filters.get("deleted")
    if deleted is not None and context.is_admin:
        conditions.append(Server.deleted.is_(boolean("deleted", deleted)))
    elif since is None and "deleted" not in filters.get("status", "").lower():
        conditions.append(Server.deleted.is_(False))
    return conditions


def _of_columns(filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    conditions = [column == filters[name] for name, column in _COLUMNS.items() if name in filters]
    for name in ("created_at", "launched_at", "terminated_at"):
        if name in filters:
            conditions.append(getattr(Server, name) == moment(name, filters[name]))
    for name in ("power_state", "launch_index"):
        if name in filters:
            conditions.append(getattr(Server, name) == _whole(name, filters[name]))
    if "config_drive" in filters:
        conditions.append(Server.config_drive.is_(boolean("config_drive", filters["config_drive"])))
    return conditions


def _of_status(context: Context, version: versions.Version, text: str) -> ColumnElement[bool]:
    choices: list[ColumnElement[bool]] = []
    for status in (part.strip().upper() for part in text.split(",")):
        if status == "DELETED" and not context.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        found = [
            _in_state(vm_state, task_state, by_task)
            for vm_state, by_task in STATUSES.items() for task_state, name in by_task.items() if name == status
        ]  # fmt: skip
        if not found and version >= (2, 38):
            raise BadRequest(f"Invalid status value {text!r}.")
        choices += found
    return or_(false(), *choices)


def _in_state(vm_state: str, task_state: str | None, by_task: dict[str | None, str]) -> ColumnElement[bool]:
    if vm_state == DELETED:
        return Server.vm_state == DELETED
    if task_state is not None:
        return and_(Server.vm_state == vm_state, Server.task_state == task_state)
    others = [name for name in by_task if name is not None]
    return and_(Server.vm_state == vm_state, or_(Server.task_state.is_(None), Server.task_state.not_in(others)))


def _of_tags(filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name in ("tags", "tags-any", "not-tags", "not-tags-any"):
        if name not in filters:
            continue
        tags = {tag for tag in filters[name].split(",") if tag}
        tagged = select(ServerTag.server_id).where(ServerTag.tag.in_(tags))
        if not name.endswith("any"):
            tagged = tagged.group_by(ServerTag.server_id).having(func.count() == len(tags))
        conditions.append(Server.id.not_in(tagged) if name.startswith("not") else Server.id.in_(tagged))
    return conditions


def _by_pattern(session: Session, query: Select[Any], filters: Mapping[str, str]) -> Select[Any]:
    """Filters that are regular expressions, in an engine whose time is linear: tenants write these."""
    name = filters.get("name") or filters.get("display_name")
    if name:
        matches = _pattern("name", name)
        rows = session.execute(query.with_only_columns(Server.id, Server.name))
        query = query.where(Server.id.in_([id_ for id_, text in rows if matches(text)]))
    for key, version in (("ip", 4), ("ip6", 6)):
        if key in filters:
            matches = _pattern(key, filters[key])
            ids = list(session.scalars(query.with_only_columns(Server.id)))
            ports = network.server_ports(session, ids)
            hits = [id_ for id_ in ids if any(
                fixed.version == version and matches(fixed.address)
                for port in ports[id_] for fixed in port.fixed_ips)]  # fmt: skip
            query = query.where(Server.id.in_(hits))
    return query


@functools.lru_cache(256)
def _pattern(name: str, text: str) -> Any:
    if re.fullmatch(r"[\w -]*", text):
        lowered = text.lower()
        return lambda value: lowered in value.lower()
    try:
        options = jsonschema_rs.RegexOptions(size_limit=1 << 20)
        schema = {"type": "string", "pattern": f"(?i){text}"}
        return jsonschema_rs.Draft202012Validator(schema, pattern_options=options).is_valid
    except (jsonschema_rs.ValidationError, ValueError):
        raise BadRequest(f"Invalid filter {name}: {text!r} is not a regular expression.") from None


_TRUE, _FALSE = ("1", "t", "true", "on", "y", "yes"), ("0", "f", "false", "off", "n", "no")


def boolean(name: str, text: str | None) -> bool:
    """A query's yes or no; an empty value is yes, as in `?all_tenants`; None is no."""
    if text is None:
        return False
    lowered = text.strip().lower()
    if lowered in _TRUE or lowered == "":
        return True
    if lowered in _FALSE:
        return False
    raise BadRequest(f"Invalid value '{text}' for {name}: use one of {', '.join(_TRUE + _FALSE)}.")


def moment(name: str, text: str) -> datetime.datetime:
    """An ISO 8601 time, UTC when it names no zone."""
    try:
        found = datetime.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise BadRequest(f"Invalid input for query parameter {name}: {text!r} is not an ISO 8601 time.") from None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _whole(name: str, text: str) -> int:
    if (number := whole_number(text)) is None:
        raise BadRequest(f"Invalid input for query parameter {name}: {text!r} is not a whole number.")
    return number


def marker_of(session: Session, context: Context, marker: str | None) -> Server | None:
    """The row that a page begins behind; 400 when there is no such server."""
    if marker is None:
        return None
    query = select(Server).where(Server.id == marker)
    if not context.is_admin:
        query = query.where(Server.project_id == (context.project_id or ""))
    found = session.scalar(query)
    if found is None:
        raise BadRequest(f"marker [{marker}] not found")
    return found

