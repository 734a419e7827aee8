"""Hosts as compute shows them: services with an operator's word about them, hypervisors, availability zones."""

from __future__ import annotations

import datetime
import uuid
import zlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.compute import aggregates
from api.compute.models import ComputeService, Server
from api.compute.states import BUILDING
from api.config import settings
from api.db.base import utcnow
from api.db.hosts import Host, list_hosts
from api.http.faults import BadRequest, NotFound
from api.placement import service as placement
from api.placement.models import DISK_GB, MEMORY_MB, VCPU

COMPUTE = "nova-compute"
CONTROL_BINARIES = ("nova-conductor", "nova-scheduler")
_NAMESPACE = uuid.UUID("2f1c3d3e-6a8b-5d7c-9c41-6f0d9d8e7b55")


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A service of a host. `number` is its id until microversion 2.52, `id` from 2.53 on."""

    id: str
    number: int
    binary: str
    host: str
    zone: str
    is_up: bool
    disabled: bool
    disabled_reason: str | None
    forced_down: bool
    updated_at: datetime.datetime | None

    @property
    def state(self) -> str:
        """`up` or `down`."""
        return "up" if self.is_up and not self.forced_down else "down"

    @property
    def status(self) -> str:
        """`enabled` or `disabled`."""
        return "disabled" if self.disabled else "enabled"


def services(session: Session, *, host: str | None = None, binary: str | None = None) -> list[ServiceView]:
    """One nova-compute a compute host; the engine schedules and conducts, so a control host has those two."""
    said = {(row.host, row.binary): row for row in session.scalars(select(ComputeService))}
    now, found, zones = utcnow(), [], aggregates.zones_by_host(session)
    for one in list_hosts(session):
        binaries = ((COMPUTE,) if "compute" in one.groups else ()) + (
            CONTROL_BINARIES if "control" in one.groups else ()
        )
        for name in binaries:
            if (host is None or host == one.name) and (binary is None or binary == name):
                found.append(_service(one, name, said.get((one.name, name)), zones.get(one.name), now))
    return sorted(found, key=lambda view: (view.binary, view.host))


def _service(host: Host, binary: str, row: ComputeService | None, zone: str | None,
             now: datetime.datetime) -> ServiceView:  # fmt: skip
    identity = uuid.uuid5(_NAMESPACE, f"{binary}@{host.name}")
    zone = zone or placement.zone_of(host) if binary == COMPUTE else "internal"
    return ServiceView(
        str(identity), zlib.crc32(identity.bytes) & 0x7FFFFFFF, binary, host.name, zone, host.is_up(now),
        bool(row and row.disabled), row.disabled_reason if row else None, bool(row and row.forced_down),
        host.heartbeat_at,
    )  # fmt: skip


def find_service(session: Session, *, id_: str | None = None, host: str = "", binary: str = "") -> ServiceView:
    """A service by its id, or by host and binary; 404 when there is none."""
    for view in services(session):
        if view.id == id_ or (id_ is None and (view.host, view.binary) == (host, binary)):
            return view
    raise NotFound(f"Service {id_} could not be found." if id_ else f"Could not find binary {binary} on host {host}.")


def update_service(session: Session, view: ServiceView, *, disabled: bool | None = None, reason: str | None = None,
                   forced_down: bool | None = None) -> ServiceView:  # fmt: skip
    """An operator's word about a service; None leaves it as it is. Only nova-compute can be changed."""
    if view.binary != COMPUTE:
        raise BadRequest(
            f"Updating a {view.binary} service is not supported. Only nova-compute services can be updated."
        )
    row = session.get(ComputeService, (view.host, view.binary))
    if row is None:
        row = ComputeService(host=view.host, binary=view.binary, disabled=False, forced_down=False)
        session.add(row)
    if disabled is not None:
        row.disabled, row.disabled_reason = disabled, reason if disabled else None
    if forced_down is not None:
        row.forced_down = forced_down
    row.updated_at = utcnow()
    session.flush()
    placement.set_disabled(session, view.host, row.disabled or row.forced_down)
    return find_service(session, id_=view.id)


@dataclass(frozen=True, slots=True)
class HypervisorView:
    """A compute host that has reported. Sizes carry their unit; `service` is its nova-compute."""

    number: int
    id: str
    host: str
    host_ip: str
    service: ServiceView
    facts: dict[str, Any]
    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    disk_gb: int
    disk_gb_used: int
    disk_free_gb: int | None
    running_vms: int
    building: int
    reserved_memory_mb: int


def hypervisors(session: Session) -> list[HypervisorView]:
    """Every compute host that has reported its capacity, in the order of their numbers."""
    by_host = {view.host: view for view in services(session, binary=COMPUTE)}
    addresses = {host.name: _address(host) for host in list_hosts(session, "compute")}
    running: dict[str, int] = defaultdict(int)
    building: dict[str, int] = defaultdict(int)
    placed = Server.deleted.is_(False), Server.host.is_not(None)
    query = select(Server.host, Server.vm_state, func.count()).where(*placed)
    for host, vm_state, count in session.execute(query.group_by(Server.host, Server.vm_state)):
        running[str(host)] += int(count)
        building[str(host)] += int(count) if vm_state == BUILDING else 0
    found = []
    for state in placement.candidates(session, all_facts=True):
        if state.provider_id is None or state.number is None or not state.totals or state.host not in by_host:
            continue
        facts = state.facts
        memory_mb = int(facts.get("memory_mb") or state.totals.get(MEMORY_MB, 0))
        reserved = memory_mb - state.totals.get(MEMORY_MB, 0)
        found.append(HypervisorView(
            number=state.number, id=state.provider_id, host=state.host, host_ip=addresses.get(state.host, ""),
            service=by_host[state.host], facts=facts, vcpus=state.totals.get(VCPU, 0),
            vcpus_used=state.used.get(VCPU, 0), memory_mb=memory_mb,
            memory_mb_used=state.used.get(MEMORY_MB, 0) + reserved, disk_gb=state.totals.get(DISK_GB, 0),
            disk_gb_used=state.used.get(DISK_GB, 0), disk_free_gb=facts.get("disk_free_gb"),
            running_vms=running[state.host], building=building[state.host], reserved_memory_mb=reserved,
        ))  # fmt: skip
    return sorted(found, key=lambda view: view.number)


def _address(host: Host) -> str:
    return str(host.variables.get("stratiform_tunnel_ip") or host.variables.get("ansible_host") or "127.0.0.1")


def servers_of(session: Session, host_names: list[str]) -> dict[str, list[dict[str, str]]]:
    """Host -> the servers on it as hypervisors show them: instance name and id."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    query = select(Server.host, Server.number, Server.id).where(
        Server.deleted.is_(False), Server.host.in_(host_names)
    )
    for host, number, id_ in session.execute(query.order_by(Server.number)):
        found[str(host)].append({"name": f"instance-{number:08x}", "uuid": id_})
    return found


def zones(session: Session) -> dict[str, list[ServiceView]]:
    """Availability zone -> its services. The default zone is there even before a host reports."""
    found: dict[str, list[ServiceView]] = {settings().compute.default_availability_zone: []}
    for view in services(session):
        found.setdefault(view.zone, []).append(view)
    return found
