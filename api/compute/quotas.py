"""Quotas: limits a project has and how much of them is used, counted from the resources each time."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from api.compute.group_models import ServerGroup
from api.compute.models import KeyPair, Quota, Server
from api.http.faults import BadRequest, Forbidden

DEFAULTS: dict[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
}
"""Nova's defaults. ram in MiB."""

NETWORK_QUOTAS = frozenset({"fixed_ips", "floating_ips", "security_groups", "security_group_rules"})
"""Not limited here: the network service has its own. Shown until 2.35 because clients of that age expect them."""
FILE_QUOTAS = frozenset({"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"})
"""Shown until 2.56."""


def limits_of(session: Session, project_id: str) -> dict[str, int]:
    """A project's limits; -1 means none."""
    query = select(Quota.resource, Quota.limit).where(Quota.project_id == project_id)
    return DEFAULTS | {row.resource: row.limit for row in session.execute(query)}


def usage_of(session: Session, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """What is counted against the limits. `key_pairs` are the user's."""
    query = select(
        func.count(),
        func.coalesce(func.sum(Server.flavor["vcpus"].as_integer()), 0),
        func.coalesce(func.sum(Server.flavor["ram"].as_integer()), 0),
    ).where(Server.project_id == project_id, Server.deleted.is_(False))
    instances, cores, ram = session.execute(query).one()
    used = {"instances": int(instances), "cores": int(cores), "ram": int(ram)}
    groups = select(func.count()).select_from(ServerGroup).where(ServerGroup.project_id == project_id)
    used["server_groups"] = int(session.scalar(groups) or 0)
    if user_id is not None:
        used["key_pairs"] = int(
            session.scalar(select(func.count()).select_from(KeyPair).where(KeyPair.user_id == user_id)) or 0
        )
    return used


def check_servers(session: Session, project_id: str, *, lowest: int, count: int, vcpus: int, ram_mb: int) -> int:
    """How many of `count` servers the quota allows; 403 when not even `lowest`. To be called in a write transaction."""
    limits, used = limits_of(session, project_id), usage_of(session, project_id)
    each = {"instances": 1, "cores": vcpus, "ram": ram_mb}
    fits = count
    for resource, amount in each.items():
        if limits[resource] >= 0 and amount > 0:
            fits = min(fits, max(0, limits[resource] - used[resource]) // amount)
    if fits >= lowest:
        return fits
    over = [name for name, amount in each.items()
            if 0 <= limits[name] < used[name] + amount * lowest]  # fmt: skip
    requested = ", ".join(str(each[name] * count) for name in over)
    raise Forbidden(
        f"Quota exceeded for {', '.join(over)}: Requested {requested}, but already used "
        f"{', '.join(str(used[name]) for name in over)} of {', '.join(str(limits[name]) for name in over)} "
        f"{', '.join(over)}"
    )


def check_growth(session: Session, project_id: str, *, vcpus: int, ram_mb: int) -> None:
    """403 when a server may not have so much more. To be called in a write transaction."""
    limits, used = limits_of(session, project_id), usage_of(session, project_id)
    more = {"cores": vcpus, "ram": ram_mb}
    over = [name for name, amount in more.items() if amount > 0 and 0 <= limits[name] < used[name] + amount]
    if over:
        raise Forbidden(
            f"Quota exceeded for {', '.join(over)}: Requested {', '.join(str(more[name]) for name in over)}, but "
            f"already used {', '.join(str(used[name]) for name in over)} of "
            f"{', '.join(str(limits[name]) for name in over)} {', '.join(over)}"
        )


def check_metadata(session: Session, project_id: str, items: int) -> None:
    """403 when a server would have more metadata items than its project may have."""
    limit = limits_of(session, project_id)["metadata_items"]
    if 0 <= limit < items:
        raise Forbidden(f"Maximum number of metadata items exceeds {limit}")


def check_keypairs(session: Session, project_id: str, user_id: str) -> None:
    """403 when the user has as many key pairs as allowed."""
    limit = limits_of(session, project_id)["key_pairs"]
    if 0 <= limit <= usage_of(session, project_id, user_id)["key_pairs"]:
        raise Forbidden("Quota exceeded, too many key pairs.")


def update(session: Session, project_id: str, limits: dict[str, int], *, force: bool) -> None:
    """Sets limits. Below what is used it is 400 unless forced."""
    used = usage_of(session, project_id)
    for resource, limit in limits.items():
        if not force and 0 <= limit < used.get(resource, 0):
            raise BadRequest(
                f"Quota limit {limit} for {resource} must be greater than or equal to already used and reserved "
                f"{used[resource]}."
            )
        session.merge(Quota(project_id=project_id, resource=resource, limit=limit))


def reset(session: Session, project_id: str) -> None:
    """Back to the defaults."""
    session.execute(delete(Quota).where(Quota.project_id == project_id))
