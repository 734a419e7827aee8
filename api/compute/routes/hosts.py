"""/os-services, /os-hypervisors, /os-availability-zone."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, request

from api.compute import hosts, queries, schemas, versions
from api.compute.hosts import HypervisorView, ServiceView
from api.compute.routes.base import V2, answer, blueprint
from api.http import paging, policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest, NotFound
from api.http.microversions import at_least, available, microversion
from api.http.responses import iso_micro
from api.http.validation import Schema, json_body

SERVICES = f"{V2}/os-services"
HYPERVISORS = f"{V2}/os-hypervisors"


def _service(view: ServiceView) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": view.id if microversion() >= versions.UUIDS_FOR_HOSTS else view.number, "binary": view.binary,
        "host": view.host, "zone": view.zone, "status": view.status, "state": view.state,
        "updated_at": iso_micro(view.updated_at), "disabled_reason": view.disabled_reason,
    }  # fmt: skip
    return body | {"forced_down": view.forced_down} if at_least(2, 11) else body


@blueprint.get(SERVICES)
def list_services() -> Response:
    policy.authorize(context(), "os_compute_api:os-services:list")
    found = hosts.services(read_session(), host=request.args.get("host"), binary=request.args.get("binary"))
    return answer({"services": [_service(view) for view in found]})


@blueprint.put(f"{SERVICES}/<which>")
def update_service(which: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-services:update")
    if microversion() < versions.UUIDS_FOR_HOSTS:
        return _update_by_verb(which)
    body = json_body(schemas.SERVICE_UPDATE)
    if not body:
        raise BadRequest("Name at least one of status, disabled_reason and forced_down.")
    disabled = {"disabled": True, "enabled": False}.get(body.get("status", ""))
    if "disabled_reason" in body and not disabled:
        raise BadRequest("Specifying disabled_reason requires that status is disabled.")
    forced = schemas.truth(body["forced_down"]) if "forced_down" in body else None
    session = write_session()
    view = hosts.update_service(session, hosts.find_service(session, id_=which), disabled=disabled,
                                reason=body.get("disabled_reason"), forced_down=forced)  # fmt: skip
    return answer({"service": _service(view)})


_VERBS: dict[str, tuple[versions.Version, Schema]] = {
    "enable": ((2, 1), schemas.SERVICE_OLD), "disable": ((2, 1), schemas.SERVICE_OLD),
    "disable-log-reason": ((2, 1), schemas.SERVICE_DISABLE_REASON), "force-down": ((2, 11), schemas.SERVICE_FORCE_DOWN),
}  # fmt: skip


def _update_by_verb(verb: str) -> Response:
    """Until 2.52 the last part of the path says what to do."""
    since, schema = _VERBS.get(verb, ((9, 0), schemas.SERVICE_OLD))
    if microversion() < since:
        raise NotFound("Unknown action")
    body = json_body(schema)
    session = write_session()
    view = hosts.find_service(session, host=body["host"], binary=body["binary"])
    shown: dict[str, Any] = {"host": view.host, "binary": view.binary}
    if verb == "force-down":
        forced = schemas.truth(body["forced_down"])
        hosts.update_service(session, view, forced_down=forced)
        return answer({"service": shown | {"forced_down": forced}})
    disabled = verb != "enable"
    hosts.update_service(session, view, disabled=disabled, reason=body.get("disabled_reason"))
    shown["status"] = "disabled" if disabled else "enabled"
    return answer({"service": shown | {"disabled_reason": body["disabled_reason"]} if "disabled_reason" in body
                   else shown})  # fmt: skip


def _hypervisor(view: HypervisorView, servers: list[dict[str, str]] | None, *, detail: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": view.id if microversion() >= versions.UUIDS_FOR_HOSTS else view.number,
        "hypervisor_hostname": view.host, "state": view.service.state, "status": view.service.status,
    }  # fmt: skip
    if detail:
        body |= _hypervisor_detail(view)
    if servers is not None and (servers or at_least(2, 75)):
        body["servers"] = servers
    return body


def _hypervisor_detail(view: HypervisorView) -> dict[str, Any]:
    facts = view.facts
    service_id = view.service.id if microversion() >= versions.UUIDS_FOR_HOSTS else view.service.number
    body: dict[str, Any] = {
        "host_ip": view.host_ip, "hypervisor_type": facts.get("hypervisor_type") or "QEMU",
        "hypervisor_version": facts.get("hypervisor_version") or 0,
        "service": {"id": service_id, "host": view.host, "disabled_reason": view.service.disabled_reason},
    }  # fmt: skip
    if microversion() >= versions.SLIM_HYPERVISORS:
        return body | {"uptime": _uptime(view)}
    cpu = facts.get("cpu_info") or {}
    return body | {
        "cpu_info": cpu if at_least(2, 28) else orjson.dumps(cpu).decode(),
        "vcpus": view.vcpus, "vcpus_used": view.vcpus_used, "memory_mb": view.memory_mb,
        "memory_mb_used": view.memory_mb_used, "free_ram_mb": view.memory_mb - view.memory_mb_used,
        "local_gb": view.disk_gb, "local_gb_used": view.disk_gb_used,
        "free_disk_gb": view.disk_gb - view.disk_gb_used, "disk_available_least": view.disk_free_gb,
        "running_vms": view.running_vms, "current_workload": view.building,
    }  # fmt: skip


def _uptime(view: HypervisorView) -> str | None:
    """As uptime(1) begins; None while the host does not report."""
    seconds = view.facts.get("uptime_s")
    if seconds is None or view.service.state == "down":
        return None
    days, rest = divmod(int(seconds), 86400)
    return f"up {days} days, {rest // 3600}:{rest % 3600 // 60:02d}"


def _list(*, detail: bool, path: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-hypervisors:list-detail" if detail
                     else "os_compute_api:os-hypervisors:list")  # fmt: skip
    found = hosts.hypervisors(read_session())
    with_servers = False
    if microversion() >= versions.UUIDS_FOR_HOSTS:
        with_servers = queries.boolean("with_servers", request.args.get("with_servers", "false"))
        if pattern := request.args.get("hypervisor_hostname_pattern"):
            found = [view for view in found if pattern in view.host]
            if not found:
                raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    more: list[dict[str, str]] = []
    if at_least(2, 33):
        found, more = _cut(found, path)
    servers = hosts.servers_of(read_session(), [view.host for view in found]) if with_servers else None
    body: dict[str, Any] = {"hypervisors": [
        _hypervisor(view, None if servers is None else servers.get(view.host, []), detail=detail) for view in found
    ]}  # fmt: skip
    return answer(body | {"hypervisors_links": more} if more else body)


def _cut(found: list[HypervisorView], path: str) -> tuple[list[HypervisorView], list[dict[str, str]]]:
    limit = paging.parse_limit(queries.MAX_LIMIT) or queries.MAX_LIMIT
    uuids = microversion() >= versions.UUIDS_FOR_HOSTS
    ids = [view.id if uuids else str(view.number) for view in found]
    if marker := request.args.get("marker"):
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found")
        found = found[ids.index(marker) + 1 :]
        ids = ids[ids.index(marker) + 1 :]
    if len(found) <= limit:
        return found, []
    return found[:limit], [{"rel": "next", "href": paging.next_link(path, ids[limit - 1], limit)}]


@blueprint.get(HYPERVISORS)
def list_hypervisors() -> Response:
    return _list(detail=False, path="/compute/v2.1/os-hypervisors")


@blueprint.get(f"{HYPERVISORS}/detail")
def list_hypervisors_detail() -> Response:
    return _list(detail=True, path="/compute/v2.1/os-hypervisors/detail")


@blueprint.get(f"{HYPERVISORS}/statistics")
@available(until=(2, 87))
def show_statistics() -> Response:
    policy.authorize(context(), "os_compute_api:os-hypervisors:statistics")
    found = [view for view in hosts.hypervisors(read_session()) if not view.service.disabled]
    sums = {
        "count": len(found), "vcpus": sum(view.vcpus for view in found),
        "vcpus_used": sum(view.vcpus_used for view in found), "memory_mb": sum(view.memory_mb for view in found),
        "memory_mb_used": sum(view.memory_mb_used for view in found),
        "free_ram_mb": sum(view.memory_mb - view.memory_mb_used for view in found),
        "local_gb": sum(view.disk_gb for view in found), "local_gb_used": sum(view.disk_gb_used for view in found),
        "free_disk_gb": sum(view.disk_gb - view.disk_gb_used for view in found),
        "disk_available_least": sum(view.disk_free_gb or 0 for view in found),
        "running_vms": sum(view.running_vms for view in found),
        "current_workload": sum(view.building for view in found),
    }  # fmt: skip
    return answer({"hypervisor_statistics": sums})


def _find(id_: str) -> HypervisorView:
    uuids = microversion() >= versions.UUIDS_FOR_HOSTS
    for view in hosts.hypervisors(read_session()):
        if id_ == (view.id if uuids else str(view.number)):
            return view
    raise NotFound(f"Hypervisor with ID '{id_}' could not be found.")


@blueprint.get(f"{HYPERVISORS}/<id_>")
def show_hypervisor(id_: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-hypervisors:show")
    view = _find(id_)
    servers = None
    if microversion() >= versions.UUIDS_FOR_HOSTS and queries.boolean(
        "with_servers", request.args.get("with_servers", "false")
    ):
        servers = hosts.servers_of(read_session(), [view.host]).get(view.host, [])
    return answer({"hypervisor": _hypervisor(view, servers, detail=True)})


@blueprint.get(f"{HYPERVISORS}/<id_>/uptime")
@available(until=(2, 87))
def show_uptime(id_: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-hypervisors:uptime")
    view = _find(id_)
    uptime = _uptime(view)
    if uptime is None:
        raise BadRequest(f"Host {view.host} does not report its uptime: it is down.")
    return answer({"hypervisor": _hypervisor(view, None, detail=False) | {"uptime": uptime}})


@blueprint.get(f"{HYPERVISORS}/<pattern>/search")
@available(until=(2, 52))
def search_hypervisors(pattern: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-hypervisors:search")
    found = _matching(pattern)
    return answer({"hypervisors": [_hypervisor(view, None, detail=False) for view in found]})


@blueprint.get(f"{HYPERVISORS}/<pattern>/servers")
@available(until=(2, 52))
def list_hypervisor_servers(pattern: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-hypervisors:servers")
    found = _matching(pattern)
    servers = hosts.servers_of(read_session(), [view.host for view in found])
    return answer({"hypervisors": [_hypervisor(view, servers.get(view.host, []), detail=False) for view in found]})


def _matching(pattern: str) -> list[HypervisorView]:
    found = [view for view in hosts.hypervisors(read_session()) if pattern in view.host]
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    return found


@blueprint.get(f"{V2}/os-availability-zone")
def list_zones() -> Response:
    policy.authorize(context(), "os_compute_api:os-availability-zone:list")
    zones = hosts.zones(read_session())
    return answer({"availabilityZoneInfo": [
        {"zoneName": name, "zoneState": {"available": _is_open(views)}, "hosts": None}
        for name, views in sorted(zones.items()) if name != "internal"]})  # fmt: skip


def _is_open(views: list[ServiceView]) -> bool:
    return any(not view.disabled for view in views) or not views


@blueprint.get(f"{V2}/os-availability-zone/detail")
def list_zones_detail() -> Response:
    policy.authorize(context(), "os_compute_api:os-availability-zone:detail")
    body = []
    for name, views in sorted(hosts.zones(read_session()).items()):
        by_host: dict[str, dict[str, Any]] = {}
        for view in views:
            by_host.setdefault(view.host, {})[view.binary] = {
                "active": not view.disabled, "available": view.state == "up", "updated_at": iso_micro(view.updated_at)
            }  # fmt: skip
        body.append({"zoneName": name, "zoneState": {"available": _is_open(views)}, "hosts": by_host})
    return answer({"availabilityZoneInfo": body})
