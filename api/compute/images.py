"""Whether a server can boot from an image with a flavor, in Nova's words."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.compute.models import Flavor
from api.http.context import Context
from api.http.faults import BadRequest, NotFound
from api.image import service as image

GIB = 1 << 30
FORMATS = ("qcow2", "raw")
RESCUE_FORMATS = (*FORMATS, "iso")


def picture(session: Session, context: Context, image_id: str, formats: tuple[str, ...] = FORMATS) -> dict[str, Any]:
    """The copy of an image that a server keeps; 400 when it is unknown, not active, or of another format."""
    try:
        found = image.boot_image(session, context, image_id)
    except NotFound:
        raise BadRequest("Can not find requested image") from None
    if found.status != "active":
        raise BadRequest(f"Image {image_id} is not active.")
    if found.disk_format not in formats or found.container_format != "bare":
        raise BadRequest(
            f"Image {image_id} is unacceptable: its formats are {found.disk_format} in {found.container_format}. "
            f"Servers boot from {' and '.join(formats)} in bare."
        )
    return copy_of(found)


def copy_of(found: image.BootImage) -> dict[str, Any]:
    """What a server keeps of an image."""
    return {
        "name": found.name, "size_bytes": found.size_bytes,
        "virtual_size_bytes": found.virtual_size_bytes or found.size_bytes or 0,
        "checksum_algorithm": found.checksum_algorithm, "checksum": found.checksum,
        "disk_format": "raw" if found.disk_format == "iso" else found.disk_format,
        "min_ram_mb": found.min_ram_mb or 0, "min_disk_gb": found.min_disk_gb or 0,
        "properties": dict(found.properties or {}),
    }  # fmt: skip


def check_fit(picture: dict[str, Any], ram_mb: int, size_gb: int) -> None:
    """400 when a server of this memory and disk (0: the image's own size) is too small for the image."""
    if ram_mb < picture["min_ram_mb"]:
        raise BadRequest("Flavor's memory is too small for requested image.")
    size = picture["virtual_size_bytes"]
    if size_gb:
        if size > size_gb * GIB:
            raise BadRequest(
                "Flavor's disk is too small for requested image. Flavor disk is "
                f"{size_gb * GIB} bytes, image is {size} bytes."
            )
        if picture["min_disk_gb"] > size_gb:
            raise BadRequest(
                "Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is "
                f"{size_gb * GIB} bytes, minimum size is {picture['min_disk_gb'] * GIB} bytes."
            )


def bootable(session: Session, context: Context, image_id: str, flavor: Flavor) -> dict[str, Any]:
    """The copy of the image that a server of `flavor` keeps; 400 when it cannot boot from it."""
    found = picture(session, context, image_id)
    check_fit(found, flavor.ram_mb, flavor.disk_gb)
    return found


def gib(size_bytes: int) -> int:
    """GiB, rounded up."""
    return -(-size_bytes // GIB)


def disk_gb(flavor: Flavor, picture: dict[str, Any]) -> int:
    """GiB of a host's disk that a server may come to use; a flavor without a size takes the image's, rounded up."""
    return flavor.disk_gb or gib(int(picture["virtual_size_bytes"]))
