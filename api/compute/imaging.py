"""createImage and createBackup: images of servers' disks."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.compute import history, images, quotas
from api.compute.lifecycle import check
from api.compute.models import Server
from api.compute.states import IMAGE_BACKUP, IMAGE_SNAPSHOT_PENDING, SHELVING
from api.http import policy
from api.http.context import Context
from api.http.faults import Conflict
from api.image import service as image

JOB = "compute.server.snapshot"
NOT_INHERITED = frozenset({
    "cache_in_nova", "bittorrent", "img_signature_hash_method", "img_signature", "img_signature_key_type",
    "img_signature_certificate_uuid", "block_device_mapping", "bdm_v2", "root_device_name", "mappings", "image_type",
    "backup_type", "instance_uuid", "base_image_ref",
})  # fmt: skip
"""Properties of an image that say nothing of the images of its servers (Nova's `non_inheritable_image_properties`)."""


def create_image(session: Session, context: Context, server: Server, name: str, metadata: dict[str, str],
                 *, count_metadata: bool) -> str:  # fmt: skip
    """createImage: the id of an image that comes. A lock does not forbid it, as it changes nothing of the server."""
    check(context, server, "createImage", locks=False)
    if count_metadata:
        quotas.check_metadata(session, server.project_id, len(metadata))
    image_id = _record(session, context, server, name, "snapshot", metadata)
    server.move(server.vm_state, task_state=IMAGE_SNAPSHOT_PENDING)
    history.begin(session, context, server, "createImage", JOB, {"image_id": image_id})
    return image_id


def create_backup(session: Session, context: Context, server: Server, wanted: dict[str, Any],
                  *, count_metadata: bool) -> str:  # fmt: skip
    """createBackup: an image of `backup_type`; when it is there, all but the `rotation` newest ones are removed."""
    check(context, server, "createBackup")
    metadata = wanted.get("metadata", {})
    if count_metadata:
        quotas.check_metadata(session, server.project_id, len(metadata))
    backup_type, rotation = str(wanted["backup_type"]), int(wanted["rotation"])
    image_id = _record(session, context, server, wanted["name"], "backup", metadata | {"backup_type": backup_type})
    server.move(server.vm_state, task_state=IMAGE_BACKUP)
    history.begin(session, context, server, "createBackup", JOB, {"image_id": image_id, "rotation": rotation})
    return image_id


def shelve_image(session: Session, context: Context, server: Server) -> str:
    """The image that a shelved server returns from."""
    image_id = _record(session, context, server, f"{server.name}-shelved"[:255], "snapshot", {})
    server.move(server.vm_state, task_state=SHELVING)
    return image_id


def _record(session: Session, context: Context, server: Server, name: str, kind: str,
            metadata: dict[str, str]) -> str:  # fmt: skip
    if server.host is None:
        raise Conflict(f"Instance {server.id} is not ready")
    policy.authorize(context, "os_compute_api:servers:create_image", {"project_id": server.project_id})
    inherited = {key: str(value) for key, value in server.image.get("properties", {}).items()
                 if key not in NOT_INHERITED}  # fmt: skip
    own = {
        "base_image_ref": server.image_id, "instance_uuid": server.id, "user_id": context.user_id, "image_type": kind,
        "owner_id": server.project_id, "owner_user_name": context.user_name,
        "owner_project_name": context.project_name or "", "boot_roles": ",".join(sorted(context.roles)),
        "image_location": "snapshot", "image_state": "available",
    }  # fmt: skip
    return image.create_snapshot(session, context, image.Snapshot(
        name=name, project_id=server.project_id, properties=inherited | own | metadata,
        min_disk_gb=server.flavor["disk"] or images.gib(server.image["virtual_size_bytes"]),
        min_ram_mb=server.image["min_ram_mb"],
    ))  # fmt: skip
