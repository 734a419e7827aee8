"""What compute asks of hosts: the request document's sections for a server (docs/contracts.md, "Module arguments")."""

from __future__ import annotations

import base64
from typing import Any

from sqlalchemy.orm import Session

from api.compute import metadata
from api.compute.models import Server
from api.config import settings
from api.image import service as image
from api.network import service as network

INSTANCES = "/var/lib/stratiform/host/instances"
SHUTDOWN_TIMEOUT_S = 60

Sections = dict[str, dict[str, Any]]


def directory(server_id: str) -> str:
    """The server's directory on its host."""
    return f"{INSTANCES}/{server_id}"


def merge(*plans: Sections) -> Sections:
    """Several services' sections as one document: lists of the same module and host are joined."""
    merged: Sections = {}
    for plan in plans:
        for host, modules in plan.items():
            target = merged.setdefault(host, {})
            for module, arguments in modules.items():
                if module not in target:
                    target[module] = dict(arguments)
                    continue
                for name, value in arguments.items():
                    had = target[module].get(name)
                    joined = isinstance(had, list) and isinstance(value, list)
                    target[module][name] = had + value if joined else value
    return merged


def wired(session: Session, server: Server) -> Sections:
    """The network's part: the server's ports on its host, and DHCP where their networks have it."""
    port_ids = [port.id for port in network.server_ports(session, [server.id]).get(server.id, [])]
    return network.plan_attach(session, str(server.host), port_ids) if port_ids else {}


def disks(session: Session, server: Server) -> Sections:
    """The server's directory, its disk on the cached image, and its config drive."""
    home, picture = directory(server.id), server.image
    section: dict[str, Any] = {
        "directories": [{"id": server.id, "path": home, "state": "present"}],
        "images": [
            {
                "id": server.image_id,
                "url": image.host_url(server.image_id),
                "ca_file": settings().ca_file,
                "checksum": {"algorithm": picture["checksum_algorithm"], "value": picture["checksum"]},
                "size_bytes": picture["size_bytes"],
                "format": picture["disk_format"],
            }
        ],
        "disks": [
            {"id": server.id, "path": f"{home}/disk", "image_id": server.image_id, "size_gb": server.flavor["disk"],
             "state": "present"}
        ],
        "config_drives": [],
    }  # fmt: skip
    if server.config_drive:
        files = metadata.drive_files(session, server)
        section["config_drives"].append({
            "id": server.id, "path": f"{home}/config.iso", "state": "present",
            "files": {path: base64.b64encode(content).decode() for path, content in files.items()},
        })  # fmt: skip
    return {str(server.host): {"disk_image": section}}


def powered(server: Server, power_state: str, **more: Any) -> Sections:
    """The server's domain in another power state, its definition left as it is."""
    domain = {"id": server.id, "power_state": power_state, "state": "present", **more}
    return {str(server.host): {"libvirt_domain": {"domains": [domain]}}}


def guest(session: Session, server: Server, power_state: str, **more: Any) -> Sections:
    """The server's domain, whole, in the wanted power state."""
    home = directory(server.id)
    bus = server.image.get("properties", {}).get("hw_disk_bus", "virtio")
    drives = [{"path": f"{home}/disk", "device": "disk", "format": "qcow2",
               "bus": bus if bus in ("virtio", "scsi", "sata", "ide") else "virtio"}]  # fmt: skip
    if server.config_drive:
        drives.append({"path": f"{home}/config.iso", "device": "cdrom", "format": "raw", "bus": "ide"})
    ports = network.server_ports(session, [server.id]).get(server.id, [])
    domain = {
        "id": server.id,
        "name": server.instance_name,
        "title": "".join(character for character in server.name if character.isprintable()),
        "vcpus": server.flavor["vcpus"],
        "memory_mb": server.flavor["ram"],
        "disks": drives,
        "interfaces": [{"port_id": port.id, "tap": port.tap, "mac": port.mac, "mtu": port.mtu} for port in ports],
        "console_log": f"{home}/console.log",
        "vnc": True,
        "metadata": {"project_id": server.project_id, "flavor_id": server.flavor_id, "image_id": server.image_id},
        "power_state": power_state,
        "shutdown_timeout_s": SHUTDOWN_TIMEOUT_S,
        "state": "present",
        **more,
    }
    return {str(server.host): {"libvirt_domain": {"domains": [domain]}}}


def present(session: Session, server: Server, power_state: str, **more: Any) -> Sections:
    """All that a guest needs to run on its host, also after the host lost its taps and bridges."""
    return merge(wired(session, server), guest(session, server, power_state, **more))


def absent(session: Session, server: Server) -> Sections:
    """Nothing of the server is left on its host: guest, directory, taps."""
    host = str(server.host)
    ports = [network.DetachedPort(**port) for port in server.detached]
    own: Sections = {
        host: {
            "libvirt_domain": {
                "domains": [{"id": server.id, "state": "absent"}],
            },
            "disk_image": {
                "directories": [{"id": server.id, "path": directory(server.id), "state": "absent"}],
                "unused_images_s": max(600, settings().compute.image_cache_age_s),
            },
        }
    }
    return merge(own, network.plan_detach(session, host, ports) if ports else {})
