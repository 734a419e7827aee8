"""Images, their tags, properties and members, and the ids that were used up."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.db.base import Base, Json, new_uuid, utcnow

QUEUED, SAVING, UPLOADING, IMPORTING = "queued", "saving", "uploading", "importing"
ACTIVE, DEACTIVATED = "active", "deactivated"

TRANSITIONS: dict[str, set[str]] = {
    QUEUED: {SAVING, UPLOADING, IMPORTING},
    SAVING: {ACTIVE, QUEUED},  # back to queued: refused, broken off, or the process died
    UPLOADING: {IMPORTING, QUEUED},  # being staged, or staged when `staged_size` is set
    IMPORTING: {ACTIVE, QUEUED},
    ACTIVE: {DEACTIVATED},
    DEACTIVATED: {ACTIVE},
}
"""What an image's status may become. Deleting is possible in each, and leaves no row."""


class IllegalTransition(Exception):
    """A status was asked for that the state machine does not allow."""


class Image(Base):
    """An image. Sizes in bytes, `min_disk` in GiB, `min_ram` in MiB; `upload_token` names the upload under way.

    `stores` have the bytes; `importing_stores` and `failed_stores` tell of the last import, None before the first.
    """

    __tablename__ = "images"
    __table_args__ = (
        Index("ix_images_created_at_id", "created_at", "id"),
        Index("ix_images_visibility", "visibility"),
        Index("ix_images_owner", "owner"),
        Index("ix_images_status", "status"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_uuid)
    name: Mapped[str | None]
    status: Mapped[str] = mapped_column(default=QUEUED)
    visibility: Mapped[str] = mapped_column(default="shared")
    owner: Mapped[str | None]
    protected: Mapped[bool] = mapped_column(default=False)
    os_hidden: Mapped[bool] = mapped_column(default=False)
    disk_format: Mapped[str | None]
    container_format: Mapped[str | None]
    min_disk: Mapped[int] = mapped_column(default=0)
    min_ram: Mapped[int] = mapped_column(default=0)
    size: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size: Mapped[int | None] = mapped_column(BigInteger)
    checksum: Mapped[str | None]
    os_hash_algo: Mapped[str | None]
    os_hash_value: Mapped[str | None]
    upload_token: Mapped[str | None]
    staged_size: Mapped[int | None] = mapped_column(BigInteger)
    stores: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    importing_stores: Mapped[list[Any] | None]
    failed_stores: Mapped[list[Any] | None]
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    tags: Mapped[list[ImageTag]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, lazy="select"
    )
    properties: Mapped[list[ImageProperty]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, lazy="select"
    )

    def become(self, status: str) -> None:
        """Changes the status along TRANSITIONS; raises IllegalTransition otherwise."""
        if status not in TRANSITIONS[self.status]:
            raise IllegalTransition(f"image {self.id}: {self.status} -> {status}")
        self.status = status
        self.updated_at = utcnow()


class ImageTag(Base):
    """A tag of an image."""

    __tablename__ = "image_tags"
    __table_args__ = (Index("ix_image_tags_value", "value"),)

    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)


class ImageProperty(Base):
    """A property that the image's owner made up, shown at the top level of the image."""

    __tablename__ = "image_properties"
    __table_args__ = (Index("ix_image_properties_name", "name"),)

    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ImageMember(Base):
    """A project that a shared image is shared with; `status` is that project's answer: pending, accepted, rejected."""

    __tablename__ = "image_members"
    __table_args__ = (Index("ix_image_members_member_id", "member_id"),)

    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="pending")
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


PENDING, PROCESSING, SUCCESS, FAILURE = "pending", "processing", "success", "failure"


class ImageTask(Base):
    """An import: asked for (`pending`), under way, or over. Its id names the files that it writes."""

    __tablename__ = "image_tasks"
    __table_args__ = (Index("ix_image_tasks_image_id", "image_id"), Index("ix_image_tasks_status", "status"))

    id: Mapped[str] = mapped_column(primary_key=True, default=new_uuid)
    type: Mapped[str]
    status: Mapped[str] = mapped_column(default=PENDING)
    owner: Mapped[str | None]
    user_id: Mapped[str | None]
    image_id: Mapped[str | None]
    request_id: Mapped[str | None]
    input: Mapped[Json]
    result: Mapped[Json | None]
    message: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime.datetime | None]

    def become(self, status: str, message: str = "") -> None:
        """Another status; what is over is kept for TASK_KEPT."""
        self.status, self.message, self.updated_at = status, message, utcnow()
        if status in (SUCCESS, FAILURE):
            self.expires_at = self.updated_at + TASK_KEPT


TASK_KEPT = datetime.timedelta(hours=48)


class MetadefNamespace(Base):
    """A namespace of metadata definitions: what properties of images, servers, ... may mean, for people to choose."""

    __tablename__ = "image_metadef_namespaces"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_uuid)
    namespace: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str | None]
    description: Mapped[str | None]
    visibility: Mapped[str] = mapped_column(default="private")
    protected: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[str | None]
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class MetadefEntry(Base):
    """What a namespace holds: an object, a property, a tag, or a resource type that it is for (`kind`)."""

    __tablename__ = "image_metadef_entries"

    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("image_metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[Json]
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class UsedImageId(Base):
    """The id of a deleted image. Hosts cache images by id, so an id never comes to mean other bytes."""

    __tablename__ = "image_used_ids"

    id: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
