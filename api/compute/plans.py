"""What compute asks of hosts: the request document's sections for a server (docs/contracts.md, "Module arguments")."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from api.compute import metadata
from api.compute.models import Server
from api.config import settings
from api.image import service as image
from api.network import service as network

INSTANCES = "/var/lib/stratiform/host/instances"
SHUTDOWN_TIMEOUT_S = 60
BUSES = ("virtio", "scsi", "sata", "ide")

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


@dataclass(frozen=True)
class Shape:
    """What a guest is made of. A resize or a rescue is planned with another one than the server's row has yet."""

    flavor: dict[str, Any]
    root_disk: str
    rescue: dict[str, Any] | None


def shape_of(server: Server) -> Shape:
    """What the server's guest is made of now."""
    return Shape(server.flavor, server.root_disk, server.rescue)


def root_path(server: Server, name: str | None = None) -> str:
    """Where the server's root disk is on its host."""
    return f"{directory(server.id)}/{name or server.root_disk}"


def cached(image_id: str, picture: dict[str, Any]) -> dict[str, Any]:
    """An image that the host is to have in its cache."""
    return {
        "id": image_id, "url": image.host_url(image_id), "ca_file": settings().ca_file,
        "checksum": {"algorithm": picture["checksum_algorithm"], "value": picture["checksum"]},
        "size_bytes": picture["size_bytes"], "format": picture["disk_format"],
    }  # fmt: skip


def disks(session: Session, server: Server) -> Sections:
    """The server's directory, its disk on the cached image, and its config drive."""
    home = directory(server.id)
    image_id, picture = server.image_id, server.image
    if server.shelved:
        image_id, picture = server.shelved["image_id"], server.shelved["picture"]
    section: dict[str, Any] = {
        "directories": [{"id": server.id, "path": home, "state": "present"}],
        "images": [cached(image_id, picture)],
        "disks": [{"id": server.id, "path": root_path(server), "image_id": image_id,
                   "size_gb": server.flavor["disk"], "state": "present"}],
        "config_drives": config_drives(session, server),
    }  # fmt: skip
    return {str(server.host): {"disk_image": section}}


def config_drives(session: Session, server: Server) -> list[dict[str, Any]]:
    """The server's config drive, if it has one, with the administrator's password while that is still to be told."""
    if not server.config_drive:
        return []
    files = metadata.drive_files(session, server)
    return [{
        "id": server.id, "path": f"{directory(server.id)}/config.iso", "state": "present",
        "files": {path: base64.b64encode(content).decode() for path, content in files.items()},
    }]  # fmt: skip


def tidy(server: Server, *keep: str) -> Sections:
    """As a last step: no disks but those named `keep` are left in the server's directory."""
    folder = {"id": server.id, "path": directory(server.id), "state": "present", "disks": list(keep)}
    return {str(server.host): {"disk_image#tidy": {"directories": [folder]}}}


def stopped_before(server: Server, mark: str) -> Sections:
    """As a first step: the guest is off, unless the job that begins so has started it again already."""
    domain = {"id": server.id, "state": "present", "power_state": "shutdown", "unless_mark": mark,
              "shutdown_timeout_s": SHUTDOWN_TIMEOUT_S}  # fmt: skip
    return {str(server.host): {"libvirt_domain#stop": {"domains": [domain]}}}


def powered(server: Server, power_state: str, **more: Any) -> Sections:
    """The server's domain in another power state, its definition left as it is."""
    domain = {"id": server.id, "power_state": power_state, "state": "present", **more}
    return {str(server.host): {"libvirt_domain": {"domains": [domain]}}}


def guest(
    session: Session, server: Server, power_state: str | None, shape: Shape | None = None, **more: Any
) -> Sections:
    """The server's domain, whole, in the wanted power state (None: in the one that it is in)."""
    shape = shape or shape_of(server)
    ports = network.server_ports(session, [server.id]).get(server.id, [])
    domain = {
        "id": server.id,
        "name": server.instance_name,
        "title": "".join(character for character in server.name if character.isprintable()),
        "vcpus": shape.flavor["vcpus"],
        "memory_mb": shape.flavor["ram"],
        "disks": _drives(server, shape),
        "interfaces": [{"port_id": port.id, "tap": port.tap, "mac": port.mac, "mtu": port.mtu} for port in ports],
        "console_log": f"{directory(server.id)}/console.log",
        "vnc": True,
        "guest_agent": has_guest_agent(server),
        "metadata": {"project_id": server.project_id, "flavor_id": server.flavor_id, "image_id": server.image_id},
        **({"power_state": power_state} if power_state else {}),
        "shutdown_timeout_s": SHUTDOWN_TIMEOUT_S,
        "state": "present",
        **more,
    }
    return {str(server.host): {"libvirt_domain": {"domains": [domain]}}}


def has_guest_agent(server: Server) -> bool:
    """Whether the image says that QEMU's guest agent runs in it."""
    return str(server.image.get("properties", {}).get("hw_qemu_guest_agent", "")).lower() in ("yes", "true", "1", "on")


def _bus(word: Any, otherwise: str = "virtio") -> str:
    return str(word) if word in BUSES else otherwise


def _drives(server: Server, shape: Shape) -> list[dict[str, Any]]:
    """The guest's drives in order. A rescue disk comes first, or where the rescue image says (a stable rescue)."""
    bus = _bus(server.image.get("properties", {}).get("hw_disk_bus"))
    drives: list[dict[str, Any]] = [{"path": root_path(server, shape.root_disk), "device": "disk",
                                     "format": "qcow2", "bus": bus}]  # fmt: skip
    if shape.rescue:
        rescue = {"path": root_path(server, shape.rescue["disk"]), "device": shape.rescue["device"], "format": "qcow2",
                  "bus": shape.rescue["bus"]}  # fmt: skip
        if shape.rescue["stable"]:
            drives = [drives[0] | {"boot_order": 2}, rescue | {"boot_order": 1}]
        else:
            drives.insert(0, rescue)
    if server.config_drive:
        drives.append({"path": f"{directory(server.id)}/config.iso", "device": "cdrom", "format": "raw", "bus": "ide"})
    return drives


def present(session: Session, server: Server, power_state: str, shape: Shape | None = None, **more: Any) -> Sections:
    """All that a guest needs to run on its host, also after the host lost its taps and bridges."""
    return merge(wired(session, server), guest(session, server, power_state, shape, **more))


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
