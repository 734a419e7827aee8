"""Images and memberships as JSON. Links are paths below the service's root, as Glance's clients expect."""

from __future__ import annotations

from typing import Any

from api.http.responses import iso_seconds
from api.image.models import Image, ImageMember


def image_view(image: Image) -> dict[str, Any]:
    """An image, its own properties at the top level."""
    here = f"/v2/images/{image.id}"
    imported: dict[str, str] = {}
    if image.importing_stores is not None:
        imported = {"os_glance_importing_to_stores": ",".join(image.importing_stores),
                    "os_glance_failed_import": ",".join(image.failed_stores or ())}  # fmt: skip
    if image.stores:
        imported["stores"] = ",".join(sorted(image.stores))
    return {entry.name: entry.value for entry in image.properties} | {
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "owner": image.owner,
        "protected": image.protected,
        "os_hidden": image.os_hidden,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksum": image.checksum,
        "os_hash_algo": image.os_hash_algo,
        "os_hash_value": image.os_hash_value,
        "tags": sorted(tag.value for tag in image.tags),
        "created_at": iso_seconds(image.created_at),
        "updated_at": iso_seconds(image.updated_at),
        "self": here,
        "file": f"{here}/file",
        "schema": "/v2/schemas/image",
    } | imported


def member_view(member: ImageMember) -> dict[str, Any]:
    """A membership."""
    return {
        "image_id": member.image_id,
        "member_id": member.member_id,
        "status": member.status,
        "created_at": iso_seconds(member.created_at),
        "updated_at": iso_seconds(member.updated_at),
        "schema": "/v2/schemas/member",
    }
