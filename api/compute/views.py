"""Servers as JSON, each in the shape of its microversion. `Look` is decided once a request, not once a server."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from api.compute import hosts, versions
from api.compute.models import Server, ServerTag, instance_name
from api.compute.states import status_of
from api.config import settings
from api.http import policy
from api.http.context import Context
from api.http.responses import iso_micro, iso_seconds
from api.network import service as network
from api.network.service import PortView

_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"})
_FAULTS = frozenset({"ERROR", "DELETED"})


COLUMNS = tuple(column for column in Server.__table__.columns if column.key not in (
    "image", "keypair", "scheduler_hints", "detached", "user_data"))  # fmt: skip
"""What a list of servers needs; the rest is big and shown by few."""

Shown = Server | Row[Any]
"""A server as an object, or in a long list as a row of COLUMNS, which costs half as much."""


@dataclass(frozen=True)
class Look:
    """What of servers the caller may see at a microversion. `full` is False for an update's answer before 2.75."""

    version: versions.Version
    is_admin: bool
    extended: bool
    host_status: bool
    extra_specs: bool
    full: bool = True
    groups: bool = False


def look_of(context: Context, version: versions.Version, *, full: bool = True, groups: bool = False) -> Look:
    """The look for this caller."""
    return Look(
        version, context.is_admin, policy.allowed(context, "os_compute_api:os-extended-server-attributes"),
        version >= versions.HOST_STATUS and policy.allowed(context, "os_compute_api:servers:show:host_status"),
        version >= versions.EMBEDDED_FLAVOR
        and policy.allowed(context, "os_compute_api:servers:show:flavor-extra-specs"),
        full, groups,
    )  # fmt: skip


def base_url() -> str:
    """The public URL of the compute API, without a version."""
    return f"{settings().url()}/compute"


def links(kind: str, id_: str) -> list[dict[str, str]]:
    """`self` and `bookmark`."""
    base = base_url()
    return [{"rel": "self", "href": f"{base}/v2.1/{kind}/{id_}"}, {"rel": "bookmark", "href": f"{base}/{kind}/{id_}"}]


def host_id(server: Shown) -> str:
    """The host, unrecognisable but equal for servers of one project on one host (SHA-224 as Nova makes it)."""
    return hashlib.sha224(f"{server.project_id}{server.host}".encode()).hexdigest() if server.host else ""


def brief(server: Shown) -> dict[str, Any]:
    """A server in a list without details."""
    return {"id": server.id, "name": server.name, "links": links("servers", server.id)}


def details(session: Session, servers: Sequence[Shown], look: Look) -> list[dict[str, Any]]:
    """Servers in full, with what they need of other services fetched once for all of them."""
    ids = [server.id for server in servers]
    ports = network.server_ports(session, ids)
    tags: dict[str, list[str]] = defaultdict(list)
    if look.version >= versions.TAGS:
        query = select(ServerTag.server_id, ServerTag.tag).where(ServerTag.server_id.in_(ids))
        for server_id, tag in session.execute(query.order_by(ServerTag.position)):
            tags[server_id].append(tag)
    status: dict[str, str] = {}
    if look.host_status:
        status = {view.host: _host_status(view) for view in hosts.services(session, binary=hosts.COMPUTE)}
    return [_detail(server, ports[server.id], tags[server.id], look, status) for server in servers]


def detail(session: Session, server: Server, look: Look) -> dict[str, Any]:
    """One server in full."""
    return details(session, [server], look)[0]


def _host_status(view: hosts.ServiceView) -> str:
    if view.forced_down or not view.is_up:
        return "DOWN"
    return "MAINTENANCE" if view.disabled else "UP"


def _detail(server: Shown, ports: list[PortView], tags: list[str], look: Look,
            host_status: dict[str, str]) -> dict[str, Any]:  # fmt: skip
    status, version = status_of(server.vm_state, server.task_state), look.version
    body: dict[str, Any] = {
        "id": server.id,
        "name": server.name,
        "status": status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.meta,
        "hostId": host_id(server),
        "image": {"id": server.image_id, "links": links("images", server.image_id)[1:]},
        "flavor": flavor(server, look),
        "created": iso_seconds(server.created_at),
        "updated": iso_seconds(server.updated_at),
        "addresses": {} if server.vm_state == "building" else addresses(ports, extended=look.full),
        "accessIPv4": server.access_ip_v4,
        "accessIPv6": server.access_ip_v6,
        "links": links("servers", server.id),
        "OS-DCF:diskConfig": server.disk_config,
    }
    if status in _FAULTS and server.fault:
        body["fault"] = _fault(server.fault, look)
    if status in _PROGRESS:
        body["progress"] = 100 if status == "ACTIVE" else 0
    if look.full:
        _extensions(body, server, ports, look)
    if look.host_status and look.full:
        body["host_status"] = host_status.get(server.host, "UNKNOWN") if server.host else ""
    _later_attributes(body, server, tags, version)
    if look.groups and version >= versions.SERVER_GROUPS:
        body["server_groups"] = [server.group_id] if server.group_id else []
    return body


def _extensions(body: dict[str, Any], server: Shown, ports: list[PortView], look: Look) -> None:
    """What 2.1 took over from the extensions of the v2 API."""
    body["OS-EXT-AZ:availability_zone"] = server.availability_zone
    body["config_drive"] = "True" if server.config_drive else ""
    body["key_name"] = server.key_name
    body["OS-SRV-USG:launched_at"] = iso_micro(server.launched_at)
    body["OS-SRV-USG:terminated_at"] = iso_micro(server.terminated_at)
    if groups := dict.fromkeys(name for port in ports for _, name in port.security_groups):
        body["security_groups"] = [{"name": name} for name in groups]
    body["OS-EXT-STS:task_state"] = server.task_state
    body["OS-EXT-STS:vm_state"] = server.vm_state
    body["OS-EXT-STS:power_state"] = server.power_state
    body["os-extended-volumes:volumes_attached"] = []
    if look.extended:
        prefix = "OS-EXT-SRV-ATTR:"
        body[f"{prefix}host"] = body[f"{prefix}hypervisor_hostname"] = server.host
        body[f"{prefix}instance_name"] = instance_name(server.number)
        if look.version >= versions.EXTENDED_ATTRIBUTES:
            body[f"{prefix}reservation_id"] = server.reservation_id
            body[f"{prefix}launch_index"] = server.launch_index
            body[f"{prefix}hostname"] = server.hostname
            body[f"{prefix}kernel_id"] = body[f"{prefix}ramdisk_id"] = ""
            body[f"{prefix}root_device_name"] = "/dev/vda"
            body[f"{prefix}user_data"] = server.user_data
    elif look.version >= versions.HOSTNAME:
        body["OS-EXT-SRV-ATTR:hostname"] = server.hostname


def _later_attributes(body: dict[str, Any], server: Shown, tags: list[str], version: versions.Version) -> None:
    """What microversions added without a prefix; also in an update's answer."""
    if version >= versions.LOCKED:
        body["locked"] = server.locked_by is not None
    if version >= versions.DESCRIPTION:
        body["description"] = server.description
    if version >= versions.TAGS:
        body["tags"] = tags
    if version >= versions.TRUSTED_CERTIFICATES:
        body["trusted_image_certificates"] = server.trusted_certificates
    if version >= versions.LOCKED_REASON:
        body["locked_reason"] = server.locked_reason
    if version >= versions.PINNED_ZONE:
        body["pinned_availability_zone"] = server.pinned_zone


def flavor(server: Shown, look: Look) -> dict[str, Any]:
    """The server's flavor: a link, from 2.47 on the flavor itself."""
    if look.version < versions.EMBEDDED_FLAVOR:
        return {"id": server.flavor_id, "links": links("flavors", server.flavor_id)[1:]}
    kept = server.flavor
    body = {name: kept[name] for name in ("vcpus", "ram", "disk", "ephemeral", "swap")}
    body["original_name"] = kept["name"]
    if look.extra_specs:
        body["extra_specs"] = kept["extra_specs"]
    return body


def addresses(ports: list[PortView], *, extended: bool = True) -> dict[str, list[dict[str, Any]]]:
    """Network name -> fixed addresses, each followed by the floating ones that stand for it."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for port in ports:
        shown = found[port.network_name]
        for fixed in port.fixed_ips:
            shown.append(_address(fixed.address, fixed.version, "fixed", port.mac, extended))
            for floating in port.floating_ips:
                if floating.fixed_address == fixed.address:
                    version = 6 if ":" in floating.address else 4
                    shown.append(_address(floating.address, version, "floating", port.mac, extended))
    return dict(found)


def _address(address: str, version: int, kind: str, mac: str, extended: bool) -> dict[str, Any]:
    if not extended:
        return {"version": version, "addr": address}
    return {"version": version, "addr": address, "OS-EXT-IPS:type": kind, "OS-EXT-IPS-MAC:mac_addr": mac}


def _fault(fault: dict[str, Any], look: Look) -> dict[str, Any]:
    body = {"code": fault["code"], "created": fault["created"], "message": fault["message"]}
    if fault.get("details") and (look.is_admin or fault["code"] != 500):
        body["details"] = fault["details"]
    return body


def created(servers: list[Server], password: str, groups: list[str]) -> dict[str, Any]:
    """The answer to a create."""
    first = servers[0]
    return {"server": {
        "id": first.id, "links": links("servers", first.id), "OS-DCF:diskConfig": first.disk_config,
        "security_groups": [{"name": name} for name in groups or ["default"]], "adminPass": password,
    }}  # fmt: skip
