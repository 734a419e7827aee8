"""Making servers: everything that POST /servers promises, in the caller's one write transaction."""

from __future__ import annotations

import dataclasses
import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.compute import aggregates, flavors, hints, history, images, keypairs, quotas, scheduler, sealing
from api.compute.models import Flavor, Server, ServerTag
from api.compute.states import BUILDING, SCHEDULING, SPAWNING
from api.db.base import new_uuid, utcnow
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Conflict
from api.network import service as network
from api.placement import service as placement
from api.placement.models import DISK_GB, MEMORY_MB, VCPU

HOSTNAME_LENGTH = 63
JOB = "compute.server.create"
PLACE_ATTEMPTS = 5


@dataclass(frozen=True)
class Request:
    """A validated request for servers. `networks` is `auto`, `none`, a list, or None where the request says nothing."""

    name: str
    flavor_id: str
    image_id: str
    networks: str | list[network.RequestedPort] | None
    count_min: int = 1
    count_max: int = 1
    security_groups: list[str] = field(default_factory=list)
    key_name: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    user_data: str | None = None
    config_drive: bool = False
    zone: str | None = None
    host: str | None = None
    description: str | None = None
    hostname: str | None = None
    tags: list[str] = field(default_factory=list)
    hints: dict[str, Any] = field(default_factory=dict)
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    disk_config: str = "MANUAL"
    trusted_certificates: list[str] | None = None
    admin_password: str = field(default="", repr=False)


def create(session: Session, context: Context, request: Request) -> list[Server]:
    """Stores servers with their ports, claims and jobs: all of them, or none.

    Where no host takes them they are stored in ERROR with the reason, as OpenStack does, and hold no port and no claim.
    """
    policy.authorize(context, "os_compute_api:servers:create")
    if request.networks != "none":
        policy.authorize(context, "os_compute_api:servers:create:attach_network")
    project_id = context.project_id or ""
    flavor = _flavor(session, context, request.flavor_id)
    picture = images.bootable(session, context, request.image_id, flavor)
    quotas.check_metadata(session, project_id, len(request.metadata))
    count = quotas.check_servers(session, project_id, lowest=request.count_min, count=request.count_max,
                                 vcpus=flavor.vcpus, ram_mb=flavor.ram_mb)  # fmt: skip
    keypair = keypair_copy(session, context, request.key_name)
    plugs = _plugs(session, context, request, count)
    states = aggregates.candidates(session)
    _check_target(states, request)
    wanted = scheduler.Wanted(
        resources={VCPU: flavor.vcpus, MEMORY_MB: flavor.ram_mb, DISK_GB: images.disk_gb(flavor, picture)},
        zone=request.zone, host=request.host, image_properties=picture["properties"], building=_building(session),
        **hints.wishes(session, context, request.hints, flavor.extra_specs, count),
    )  # fmt: skip
    zones = {state.host: state.availability_zone for state in states}
    servers = _rows(session, context, request, flavor, picture, keypair, count)
    try:
        hosts = _place(session, context, servers, states, wanted)
    except scheduler.NoValidHost as error:
        _refuse(session, context, request, servers, plugs, error)
        return servers
    for server, host in zip(servers, hosts, strict=True):
        server.host, server.availability_zone, server.task_state = host, zones[host], SPAWNING
        if plugs:
            _attach(session, context, server, plugs, request.security_groups)
        history.begin(session, context, server, "create", JOB)
    return servers


def _place(session: Session, context: Context, servers: list[Server], states: list[placement.HostState],
           wanted: scheduler.Wanted) -> list[str]:  # fmt: skip
    """A claimed host for each server. On PostgreSQL another writer may be quicker: then again."""
    for _ in range(PLACE_ATTEMPTS):
        hosts = scheduler.choose(states, wanted, len(servers))
        try:
            with session.begin_nested():
                for server, host in zip(servers, hosts, strict=True):
                    placement.claim(session, server.id, host, wanted.resources, context)
        except placement.NoCapacity:
            states = aggregates.candidates(session)
        else:
            return hosts
    raise scheduler.NoValidHost({state.host: "others were quicker; try again" for state in states})


def _flavor(session: Session, context: Context, flavor_id: str) -> Flavor:
    query = select(Flavor) if context.is_admin else flavors.visible(context)
    flavor: Flavor | None = session.scalar(query.where(Flavor.id == flavor_id, Flavor.disabled.is_(False)))
    if flavor is None:
        raise BadRequest(f"Flavor {flavor_id} could not be found.")
    if flavor.ephemeral_gb or flavor.swap_mb:
        raise BadRequest(f"Flavor {flavor_id} has an ephemeral or swap disk, which this cloud does not offer. "
                         "Choose a flavor without.")  # fmt: skip
    return flavor


def keypair_copy(session: Session, context: Context, name: str | None) -> dict[str, str] | None:
    """What a server keeps of the caller's key pair; 400 when there is none of this name."""
    if name is None:
        return None
    pair = keypairs.find(session, context.user_id, name)
    if pair is None:
        raise BadRequest("Invalid key_name provided.")
    return {"name": pair.name, "type": pair.type, "public_key": pair.public_key}


def _plugs(session: Session, context: Context, request: Request, count: int) -> list[network.RequestedPort]:
    """The ports that each server gets."""
    if request.networks == "none":
        return []
    if isinstance(request.networks, list) and request.networks:
        for plug in request.networks:
            if count > 1 and plug.port_id:
                raise BadRequest("Unable to launch multiple instances with a single configured port ID. Please launch "
                                 "your instance one by one with different ports.")  # fmt: skip
            if count > 1 and plug.fixed_ip:
                raise BadRequest("max_count cannot be greater than 1 if an fixed_ip is specified.")
        return request.networks
    usable = _usable(session, context)
    if not usable and request.networks == "auto":
        return [network.RequestedPort(network_id=network.auto_topology(session, context))]
    return [only_network(session, context)] if usable else []


def _usable(session: Session, context: Context) -> list[network.NetworkView]:
    return [view for view in network.usable_networks(session, context) if view.subnet_ids]


def only_network(session: Session, context: Context) -> network.RequestedPort:
    """A port on the one network that the project may use; 409 when there are several, 400 when there is none."""
    usable = _usable(session, context)
    if len(usable) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    if not usable:
        raise BadRequest("No network with a subnet is there for the project to use. Name a port or a network.")
    return network.RequestedPort(network_id=usable[0].id)


def _check_target(states: list[placement.HostState], request: Request) -> None:
    """A zone or host that does not exist is the caller's mistake, not a lack of hosts."""
    if request.zone is not None and request.zone not in {state.availability_zone for state in states}:
        raise BadRequest("The requested availability zone is not available")
    if request.host is not None and request.host not in {state.host for state in states}:
        raise BadRequest(f"Compute host {request.host} could not be found.")


def _building(session: Session) -> dict[str, int]:
    query = (
        select(Server.host, func.count())
        .where(Server.deleted.is_(False), Server.vm_state == BUILDING, Server.host.is_not(None))
        .group_by(Server.host)
    )
    return {str(host): int(count) for host, count in session.execute(query)}


def _rows(
    session: Session, context: Context, request: Request, flavor: Flavor, picture: dict[str, Any],
    keypair: dict[str, str] | None, count: int,
) -> list[Server]:  # fmt: skip
    reservation = "r-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
    now = utcnow()
    servers = []
    for index in range(count):
        id_ = new_uuid()
        suffix = f"-{index + 1}" if request.count_max > 1 else ""
        server = Server(
            id=id_, project_id=context.project_id or "", user_id=context.user_id, name=f"{request.name}{suffix}"[:255],
            hostname=hostname_of(request.hostname or request.name, id_, suffix), description=request.description,
            image_id=request.image_id, image=picture, flavor_id=flavor.id, flavor=flavors.snapshot(flavor),
            key_name=request.key_name, keypair=keypair, meta=request.metadata, user_data=request.user_data,
            config_drive=request.config_drive, pinned_zone=request.zone, scheduler_hints=request.hints,
            group_id=request.hints.get("group"), availability_zone=request.zone or "", reservation_id=reservation,
            launch_index=index,
            access_ip_v4=request.access_ip_v4, access_ip_v6=request.access_ip_v6, disk_config=request.disk_config,
            trusted_certificates=request.trusted_certificates, vm_state=BUILDING, task_state=SCHEDULING,
            created_at=now, updated_at=now,
            secret=sealing.seal(request.admin_password) if request.config_drive and request.admin_password else None,
            tags=[ServerTag(tag=tag, position=place) for place, tag in enumerate(dict.fromkeys(request.tags))],
        )  # fmt: skip
        servers.append(server)
    session.add_all(servers)
    session.flush()
    return servers


def hostname_of(name: str, server_id: str, suffix: str = "") -> str:
    """A host name made of a server's name: RFC 1123's letters, digits and hyphens, at most 63 of them."""
    text = re.sub(r"[ _.]+", "-", name.strip().lower())
    text = re.sub(r"[^a-z0-9-]+", "", text).strip("-")
    if not text:
        text = f"server-{server_id}"
    return f"{text[: HOSTNAME_LENGTH - len(suffix)].rstrip('-')}{suffix}"


def _attach(session: Session, context: Context, server: Server, plugs: list[network.RequestedPort],
            groups: list[str]) -> None:  # fmt: skip
    network.attach_ports(
        session, context, server_id=server.id, host=server.host, availability_zone=server.availability_zone,
        hostname=server.hostname, requested=plugs, security_groups=groups,
    )  # fmt: skip


def _refuse(session: Session, context: Context, request: Request, servers: list[Server],
            plugs: list[network.RequestedPort], error: scheduler.NoValidHost) -> None:  # fmt: skip
    """Stores servers that no host takes. A wrong network or port is answered all the same: attaching is tried."""
    if plugs:
        moment = session.begin_nested()
        try:
            _attach(session, context, servers[0], plugs, request.security_groups)
        finally:
            moment.rollback()
    for server in servers:
        server.fail(str(error), error.details)
        noted = history.begin(session, context, server, "create")
        noted.message = str(error)


def request_of(context: Context, values: dict[str, Any]) -> Request:
    """A Request from parsed fields; resolves `zone:host:node`, which only admins may give."""
    zone, host = _target(context, values.pop("availability_zone", None))
    asked = values.pop("host", None) or values.pop("hypervisor_hostname", None)
    values.pop("hypervisor_hostname", None)
    if asked:
        policy.authorize(context, "os_compute_api:servers:create:requested_destination")
        if host and host != asked:
            raise BadRequest("Unable to specify a host in availability_zone and in host or hypervisor_hostname too.")
        host = asked
    if values.get("trusted_certificates"):
        policy.authorize(context, "os_compute_api:servers:create:trusted_certs")
    known = {field.name for field in dataclasses.fields(Request)}
    return Request(zone=zone, host=host, **{key: value for key, value in values.items() if key in known})


def _target(context: Context, text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    if ":" not in text:
        return text, None
    parts = text.split(":")
    if len(parts) > 3:
        raise BadRequest("Unable to parse availability_zone. Use zone, zone:host or zone:host:node.")
    zone, host, node = [*parts, ""][:3]
    policy.authorize(context, "os_compute_api:servers:create:forced_host")
    if node and host and node != host:
        raise BadRequest(f"Compute host {host} has no node {node}.")
    return zone or None, host or node or None


def admin_password() -> str:
    """A password for the create answer: 12 characters, unmistakable ones."""
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return "".join(secrets.choice(alphabet) for _ in range(12))

