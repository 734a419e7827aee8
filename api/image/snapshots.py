"""Images that compute makes of servers: a record first, whose bytes a host uploads by a signed URL."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import utcnow
from api.db.events import announce
from api.db.session import after_commit
from api.http import policy
from api.http.context import Context
from api.image import store
from api.image.models import ACTIVE, Image, ImageProperty, UsedImageId


@dataclass(frozen=True)
class Snapshot:
    """What an image of a server is to be. `min_disk_gb` in GiB, `min_ram_mb` in MiB."""

    name: str
    project_id: str
    min_disk_gb: int
    min_ram_mb: int
    properties: dict[str, str] = field(default_factory=dict)


def create_snapshot(session: Session, context: Context, snapshot: Snapshot) -> str:
    """A queued, private qcow2 image of `project_id`; returns its id. 403 when the caller may not add images."""
    policy.authorize(context, "add_image", {"project_id": snapshot.project_id, "owner": snapshot.project_id})
    now = utcnow()
    image = Image(
        name=snapshot.name, owner=snapshot.project_id, visibility="private", disk_format="qcow2",
        container_format="bare", min_disk=snapshot.min_disk_gb, min_ram=snapshot.min_ram_mb,
        created_at=now, updated_at=now,
        properties=[ImageProperty(name=name, value=value) for name, value in snapshot.properties.items()],
    )  # fmt: skip
    session.add(image)
    session.flush()
    return image.id


def has_bytes(session: Session, image_id: str) -> bool:
    """Whether the image's bytes have come."""
    return session.scalar(select(Image.status).where(Image.id == image_id)) == ACTIVE


def discard_snapshot(session: Session, image_id: str) -> None:
    """Removes an image that compute made; one that its owner has removed or protected already is left alone."""
    image = session.get(Image, image_id)
    if image is None or image.protected:
        return
    announce(session, "image.before_delete", image_id=image.id)
    session.delete(image)
    session.add(UsedImageId(id=image_id))
    session.flush()
    after_commit(session, lambda: store.remove(image_id))


def rotate_backups(session: Session, newest_id: str, keep: int) -> None:
    """Removes all but the `keep` newest backups of the server and the kind that `newest_id` is one of."""
    newest = session.get(Image, newest_id)
    if newest is None:
        return
    query = select(Image.id).where(Image.owner == newest.owner, Image.status == ACTIVE)
    for entry in newest.properties:
        if entry.name in ("instance_uuid", "backup_type"):
            same = select(ImageProperty.image_id).where(
                ImageProperty.name == entry.name, ImageProperty.value == entry.value
            )
            query = query.where(Image.id.in_(same))
    for image_id in session.scalars(query.order_by(Image.created_at.desc(), Image.id)).all()[keep:]:
        discard_snapshot(session, image_id)


def upload_url(image_id: str, lifetime_s: int) -> str:
    """A URL to which a host PUTs the image's bytes without a token, for `lifetime_s` seconds."""
    expires = int(time.time()) + lifetime_s
    query = f"expires={expires}&signature={_signature(image_id, str(expires))}"
    return f"{settings().url('internal')}/internal/images/{image_id}?{query}"


def is_upload_url(image_id: str, expires: str, signature: str) -> bool:
    """Whether these are the parts of a URL that `upload_url` made and that still holds."""
    known = hmac.compare_digest(_signature(image_id, expires).encode(), signature.encode())
    return known and int(expires) >= time.time()


def _signature(image_id: str, expires: str) -> str:
    key = settings().secret("url_signing_key").encode()
    return hmac.new(key, f"upload\n{image_id}\n{expires}".encode(), hashlib.sha256).hexdigest()
