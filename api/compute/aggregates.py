"""Host aggregates: operators' groups of hosts, with metadata that flavors may ask for, and availability zones."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from api.compute.group_models import Aggregate, AggregateHost
from api.compute.models import Server
from api.db.base import utcnow
from api.db.hosts import Host
from api.http.faults import BadRequest, Conflict, NotFound
from api.placement import service as placement

ZONE = "availability_zone"


def zones_by_host(session: Session) -> dict[str, str]:
    """Host -> the availability zone that an aggregate puts it into; hosts in none are the inventory's to place."""
    query = (
        select(AggregateHost.host, Aggregate.availability_zone)
        .join(Aggregate, Aggregate.id == AggregateHost.aggregate_id)
        .where(Aggregate.availability_zone.is_not(None))
    )
    return {host: str(zone) for host, zone in session.execute(query)}


def candidates(session: Session) -> list[placement.HostState]:
    """Placement's compute hosts, in the zones of their aggregates."""
    states, zones = placement.candidates(session), zones_by_host(session)
    for state in states:
        state.availability_zone = zones.get(state.host, state.availability_zone)
    return states


def metadata_by_host(session: Session) -> dict[str, dict[str, set[str]]]:
    """Host -> key -> the values that its aggregates give it. A value may list several, by commas."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for aggregate in session.scalars(select(Aggregate)):
        for row in aggregate.hosts:
            for key, value in aggregate.meta.items():
                found[row.host][key] |= {part.strip() for part in str(value).split(",")}
    return found


def listed(session: Session) -> list[Aggregate]:
    """All aggregates."""
    return list(session.scalars(select(Aggregate).order_by(Aggregate.id)))


def get(session: Session, text: str) -> Aggregate:
    """An aggregate by the number in a URL; 404 when there is none, also for a name, which clients try first."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    found = session.get(Aggregate, int(text)) if is_number else None
    if found is None:
        raise NotFound(f"Aggregate {text} could not be found.")
    return found


def create(session: Session, name: str, zone: str | None) -> Aggregate:
    """Stores an aggregate; 409 for a name that is taken."""
    _refuse_taken(session, name)
    aggregate = Aggregate(name=name, availability_zone=zone, meta={}, hosts=[])
    session.add(aggregate)
    session.flush()
    return aggregate


def change(session: Session, aggregate: Aggregate, values: dict[str, Any]) -> None:
    """A new name, a new availability zone."""
    if "name" in values and values["name"] != aggregate.name:
        _refuse_taken(session, values["name"])
        aggregate.name = values["name"]
    if ZONE in values:
        _change_zone(session, aggregate, values[ZONE], "update aggregate")
    aggregate.updated_at = utcnow()


def set_metadata(session: Session, aggregate: Aggregate, items: dict[str, str | None]) -> None:
    """Adds, changes and (None) removes metadata; `availability_zone` among it is the zone."""
    if ZONE in items:
        _change_zone(session, aggregate, items[ZONE], "update aggregate metadata")
    others = {key: value for key, value in items.items() if key != ZONE}
    aggregate.meta = {key: value for key, value in (aggregate.meta | others).items() if value is not None}
    aggregate.updated_at = utcnow()


def destroy(session: Session, aggregate: Aggregate) -> None:
    """Removes an aggregate that has no hosts; 400 for one that has."""
    if aggregate.hosts:
        raise BadRequest(f"Cannot delete aggregate {aggregate.id}. Reason: Host aggregate is not empty.")
    session.delete(aggregate)


def add_host(session: Session, aggregate: Aggregate, host: str) -> None:
    """Adds a compute host; 404 for an unknown one, 409 when it is in already, or in another zone."""
    known = session.get(Host, host)
    if known is None or "compute" not in known.groups:
        raise NotFound(f"Compute host {host} could not be found.")
    if any(row.host == host for row in aggregate.hosts):
        raise Conflict(f"Cannot add host to aggregate {aggregate.id}. Reason: Host {host} already exists in it.")
    if aggregate.availability_zone is not None:
        _check_zone(session, aggregate, [host], aggregate.availability_zone, "add host to aggregate")
        _move_servers(session, aggregate, [host], aggregate.availability_zone, "add host to aggregate")
    position = max((row.position for row in aggregate.hosts), default=-1) + 1
    aggregate.hosts.append(AggregateHost(host=host, position=position))
    aggregate.updated_at = utcnow()
    session.flush()


def remove_host(session: Session, aggregate: Aggregate, host: str) -> None:
    """Takes a host out; 404 when it is not in, 409 when servers on it were asked for in the aggregate's zone."""
    row = next((row for row in aggregate.hosts if row.host == host), None)
    if row is None:
        raise NotFound(f"Cannot remove host {host} in aggregate {aggregate.id}: it has no such host.")
    if aggregate.availability_zone is not None:
        _move_servers(session, aggregate, [host], _own_zone(session, host), "remove host from aggregate")
    aggregate.hosts.remove(row)
    aggregate.updated_at = utcnow()
    session.flush()


def _refuse_taken(session: Session, name: str) -> None:
    if session.scalar(select(Aggregate.id).where(Aggregate.name == name)) is not None:
        raise Conflict(f"Aggregate {name} already exists.")


def _own_zone(session: Session, host: str) -> str:
    """The inventory's zone of a host."""
    return placement.zone_of(session.get_one(Host, host))


def _change_zone(session: Session, aggregate: Aggregate, zone: str | None, doing: str) -> None:
    hosts = [row.host for row in aggregate.hosts]
    if zone == aggregate.availability_zone:
        return
    if zone is not None:
        _check_zone(session, aggregate, hosts, zone, doing)
    occupied = select(Server.id).where(Server.host.in_(hosts), Server.deleted.is_(False)).limit(1)
    if session.scalar(occupied) is not None:
        raise BadRequest(f"Cannot {doing} {aggregate.id}. Reason: One or more hosts contain instances in this zone.")
    aggregate.availability_zone = zone


def _check_zone(session: Session, aggregate: Aggregate, hosts: list[str], zone: str, doing: str) -> None:
    """A host is in one zone: 409 when another aggregate says otherwise."""
    query = (
        select(Aggregate.availability_zone)
        .join(AggregateHost, AggregateHost.aggregate_id == Aggregate.id)
        .where(AggregateHost.host.in_(hosts), Aggregate.id != aggregate.id,
               Aggregate.availability_zone.is_not(None), Aggregate.availability_zone != zone)
    )  # fmt: skip
    if others := sorted({str(other) for other in session.scalars(query)}):
        raise Conflict(f"Cannot {doing} {aggregate.id}. Reason: One or more hosts already in availability zone(s) "
                       f"{', '.join(others)}.")  # fmt: skip


def _move_servers(session: Session, aggregate: Aggregate, hosts: list[str], zone: str, doing: str) -> None:
    """Servers follow their host into another zone, unless they were asked for in the one that they are in: 409."""
    there = Server.host.in_(hosts), Server.deleted.is_(False)
    pinned = select(Server.id).where(*there, Server.pinned_zone.is_not(None), Server.pinned_zone != zone).limit(1)
    if session.scalar(pinned) is not None:
        raise Conflict(f"Cannot {doing} {aggregate.id}. Reason: servers on the host were asked for in the availability "
                       "zone that it would leave. Move or delete them first.")  # fmt: skip
    session.execute(update(Server).where(*there).values(availability_zone=zone))
