"""Scheduler hints and flavors' extra specs, as what the scheduler knows: neighbours, groups, aggregates."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import aggregates, server_groups
from api.compute.models import Server
from api.http.context import Context

_SPEC_SCOPE = "aggregate_instance_extra_specs:"


def wishes(session: Session, context: Context, hints: dict[str, Any], specs: dict[str, Any], count: int, *,
           without: str = "") -> dict[str, Any]:  # fmt: skip
    """Fields of `scheduler.Wanted` for `count` servers; 400 for hints that name what is not there.

    `without` is a server that is about to move, and not a neighbour of itself.
    """
    found: dict[str, Any] = {}
    if group_id := hints.get("group"):
        found["group"] = server_groups.grouping(session, context, str(group_id), count, without=without)
    if "same_host" in hints:
        found["same_as"] = _hosts_of(session, context, hints["same_host"])
    if "different_host" in hints:
        found["other_than"] = _hosts_of(session, context, hints["different_host"])
    wanted = {key.removeprefix(_SPEC_SCOPE): str(value) for key, value in specs.items() if key.startswith(_SPEC_SCOPE)}
    if wanted:
        found |= {"aggregate_specs": wanted, "aggregate_metadata": aggregates.metadata_by_host(session)}
    return found


def _hosts_of(session: Session, context: Context, ids: str | list[str]) -> frozenset[str]:
    """The hosts of the caller's servers among `ids`; others' servers are as good as none."""
    wanted = [ids] if isinstance(ids, str) else ids
    query = select(Server.host).where(Server.id.in_(wanted), Server.deleted.is_(False), Server.host.is_not(None))
    if not context.is_admin:
        query = query.where(Server.project_id == (context.project_id or ""))
    return frozenset(str(host) for host in session.scalars(query))
