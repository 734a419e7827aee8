"""Images, their tags, properties and members, and the ids that were used up."""

from __future__ import annotations

import datetime

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.db.base import Base, new_uuid, utcnow

QUEUED, SAVING, ACTIVE, DEACTIVATED = "queued", "saving", "active", "deactivated"

TRANSITIONS: dict[str, set[str]] = {
    QUEUED: {SAVING},
    SAVING: {ACTIVE, QUEUED},  # back to queued: refused, broken off, or the process died
    ACTIVE: {DEACTIVATED},
    DEACTIVATED: {ACTIVE},
}
"""What an image's status may become. Deleting is possible in each, and leaves no row."""


class IllegalTransition(Exception):
    """A status was asked for that the state machine does not allow."""


class Image(Base):
    """An image. Sizes in bytes, `min_disk` in GiB, `min_ram` in MiB; `upload_token` names the upload under way."""

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


class UsedImageId(Base):
    """The id of a deleted image. Hosts cache images by id, so an id never comes to mean other bytes."""

    __tablename__ = "image_used_ids"

    id: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
