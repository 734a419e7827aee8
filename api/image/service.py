"""What images mean. Other rooms import this module and nothing else of the room; it knows no Flask."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import utcnow
from api.db.events import announce
from api.db.events import subscribe as subscribe_to
from api.db.session import after_commit
from api.http import policy
from api.http.context import Context
from api.http.faults import Conflict, Forbidden, NotFound, PayloadTooLarge
from api.image import store
from api.image.models import (
    ACTIVE,
    DEACTIVATED,
    QUEUED,
    Image,
    ImageMember,
    ImageProperty,
    ImageTag,
    UsedImageId,
)
from api.image.rules import (
    MAX_PROPERTIES,
    MAX_TAGS,
    Change,
    check_formats,
    check_new,
    check_visibility,
    split_new,
)
from api.image.snapshots import Snapshot, create_snapshot, discard_snapshot, has_bytes, rotate_backups, upload_url
from api.image.visibility import target, visible_image

__all__ = [
    "BootImage", "Snapshot", "boot_image", "create_snapshot", "discard_snapshot", "has_bytes", "host_url",
    "is_host_url", "rotate_backups", "snapshot_image", "subscribe", "upload_url",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class BootImage:
    """What compute needs to know of an image. `checksum` is hexadecimal, by `checksum_algorithm`."""

    id: str
    name: str | None
    status: str
    size_bytes: int | None
    virtual_size_bytes: int | None
    min_disk_gb: int
    min_ram_mb: int
    disk_format: str | None
    container_format: str | None
    checksum_algorithm: str | None
    checksum: str | None
    properties: dict[str, str]


def boot_image(session: Session, context: Context, image_id: str) -> BootImage:
    """An image as a server boots from it; 404 when the caller may not see it. Its status is the caller's to judge."""
    return _boot_image(get_image(session, context, image_id))


def snapshot_image(session: Session, image_id: str) -> BootImage:
    """An image that compute made, as a server boots from it: nobody's rights are asked. 404 when it is gone."""
    image = session.get(Image, image_id)
    if image is None:
        raise NotFound(f"Image {image_id} is gone.")
    return _boot_image(image)


def _boot_image(image: Image) -> BootImage:
    return BootImage(
        image.id, image.name, image.status, image.size, image.virtual_size, image.min_disk, image.min_ram,
        image.disk_format, image.container_format, image.os_hash_algo, image.os_hash_value,
        {entry.name: entry.value for entry in image.properties},
    )  # fmt: skip


def host_url(image_id: str, lifetime_s: int = 3600) -> str:
    """A URL from which a host reads the image's bytes without a token, for `lifetime_s` seconds."""
    expires = int(time.time()) + lifetime_s
    query = f"expires={expires}&signature={_signature(image_id, str(expires))}"
    return f"{settings().url('internal')}/internal/images/{image_id}?{query}"


def is_host_url(image_id: str, expires: str, signature: str) -> bool:
    """Whether these are the parts of a URL that `host_url` made and that still holds."""
    known = hmac.compare_digest(_signature(image_id, expires).encode(), signature.encode())
    return known and int(expires) >= time.time()


def _signature(image_id: str, expires: str) -> str:
    key = settings().secret("url_signing_key").encode()
    return hmac.new(key, f"image\n{image_id}\n{expires}".encode(), hashlib.sha256).hexdigest()


def get_image(session: Session, context: Context, image_id: str) -> Image:
    """The image, when the caller may see it; 404 otherwise."""
    image = visible_image(session, context, image_id)
    policy.authorize(context, "get_image", target(context, image))
    return image


def create_image(session: Session, context: Context, body: dict[str, Any]) -> Image:
    """A new, queued image from a validated request; 403 for what is not the caller's to set, 409 for a taken id."""
    attributes, properties, tags = split_new(body)
    check_new(context, attributes)
    image_id = attributes.get("id")
    if image_id and (session.get(Image, image_id) or session.get(UsedImageId, image_id)):
        raise Conflict(f"An image with identifier {image_id} already exists or existed")
    now = utcnow()
    image = Image(**({"owner": context.project_id} | attributes), created_at=now, updated_at=now)
    image.tags = [ImageTag(value=value) for value in tags]
    image.properties = [ImageProperty(name=name, value=value) for name, value in properties.items()]
    session.add(image)
    session.flush()
    return image


def update_image(session: Session, context: Context, image_id: str, changes: list[Change]) -> Image:
    """Carries out the changes of a PATCH, all or none."""
    image = _own(session, context, image_id, "modify_image")
    for change in changes:
        _apply(context, image, change)
    check_formats(image.disk_format, image.container_format)
    if len(image.properties) > MAX_PROPERTIES:
        raise PayloadTooLarge(f"The limit on the number of image properties has been exceeded: {MAX_PROPERTIES}")
    if changes:
        image.updated_at = utcnow()
    session.flush()
    return image


def _apply(context: Context, image: Image, change: Change) -> None:
    if change.is_attribute:
        _apply_to_attribute(context, image, change)
        return
    entry = next((entry for entry in image.properties if entry.name == change.name), None)
    if entry is None and change.op != "add":
        raise Conflict(f"Property {change.name} does not exist.")
    if change.op == "remove" and entry is not None:
        image.properties.remove(entry)
    elif entry is not None:
        entry.value = change.value
    else:
        image.properties.append(ImageProperty(name=change.name, value=change.value))


def _apply_to_attribute(context: Context, image: Image, change: Change) -> None:
    if change.op == "remove":
        raise Forbidden(f"Property {change.name} may not be removed.")
    if change.name == "tags":
        _set_tags(image, change.value)
        return
    if change.name == "owner" and not context.is_admin:
        raise Forbidden("Owner can't be updated by non admin.")
    if change.name in ("disk_format", "container_format") and image.status != QUEUED:
        raise Forbidden(f"Attribute {change.name} can be only replaced for a queued image.")
    if change.name == "visibility":
        check_visibility(context, change.value, target(context, image))
    setattr(image, change.name, change.value)


def _set_tags(image: Image, values: list[str]) -> None:
    wanted = list(dict.fromkeys(values))
    if len(wanted) > MAX_TAGS:
        raise PayloadTooLarge(f"The limit on the number of image tags has been exceeded: {MAX_TAGS}")
    kept = [tag for tag in image.tags if tag.value in wanted]
    have = {tag.value for tag in kept}
    image.tags = kept + [ImageTag(value=value) for value in wanted if value not in have]


def add_tag(session: Session, context: Context, image_id: str, value: str) -> None:
    """Tags an image; again changes nothing."""
    image = _own(session, context, image_id, "modify_image")
    _set_tags(image, [*(tag.value for tag in image.tags), value])
    image.updated_at = utcnow()


def remove_tag(session: Session, context: Context, image_id: str, value: str) -> None:
    """Takes a tag away; 404 when the image has none such."""
    image = _own(session, context, image_id, "modify_image")
    kept = [tag.value for tag in image.tags if tag.value != value]
    if len(kept) == len(image.tags):
        raise NotFound("The tag was not found on the image.")
    _set_tags(image, kept)
    image.updated_at = utcnow()


def delete_image(session: Session, context: Context, image_id: str) -> None:
    """Deletes an image; 403 when it is protected."""
    image = _own(session, context, image_id, "delete_image")
    discard(session, image)


def discard(session: Session, image: Image) -> None:
    """Takes an image away; its bytes go once that is committed. 403 when it is protected."""
    if image.protected:
        raise Forbidden(f"Image {image.id} is protected and cannot be deleted.")
    announce(session, "image.before_delete", image_id=image.id)
    session.delete(image)
    session.add(UsedImageId(id=image.id))
    session.flush()
    after_commit(session, lambda: store.remove(image.id))


def set_active(session: Session, context: Context, image_id: str, *, active: bool) -> None:
    """Deactivates an image, so that only administrators read its bytes and no server boots from it; or undoes that."""
    image = _own(session, context, image_id, "reactivate" if active else "deactivate")
    wanted = ACTIVE if active else DEACTIVATED
    if image.status == wanted:
        return
    if image.status not in (ACTIVE, DEACTIVATED):
        raise Forbidden(f"Not allowed to {'re' if active else 'de'}activate image in status '{image.status}'")
    image.become(wanted)


def _own(session: Session, context: Context, image_id: str, rule: str) -> Image:
    """The image, to be changed: locked, and `rule` asked for."""
    image = visible_image(session, context, image_id, lock=True)
    policy.authorize(context, rule, target(context, image))
    return image


def subscribe() -> None:
    """Listens to the rooms below."""
    from api.image import hanging  # which uses what is here

    subscribe_to("project.before_delete", _forget_project)
    subscribe_to("project.hangs_on", hanging.tell)
    subscribe_to("project.purge", hanging.purge)


def _forget_project(session: Session, *, project_id: str) -> None:
    """Nobody shares with a project that is gone. Its own images stay, as in OpenStack: others may boot from them."""
    session.execute(delete(ImageMember).where(ImageMember.member_id == project_id))
