"""Sharing: the owner offers an image to projects, each of which accepts or rejects it."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.http import policy
from api.http.context import Context
from api.http.faults import Conflict, Forbidden, NotFound, PayloadTooLarge
from api.image.models import Image, ImageMember
from api.image.rules import MAX_MEMBERS
from api.image.visibility import target, visible_image


def list_members(session: Session, context: Context, image_id: str) -> list[ImageMember]:
    """Whom the image is shared with; a member sees its own entry alone."""
    image = _shared(session, context, image_id)
    policy.authorize(context, "get_members", target(context, image))
    query = select(ImageMember).where(ImageMember.image_id == image.id).order_by(ImageMember.created_at)
    return list(session.scalars(query if _sees_all(context, image) else query.where(
        ImageMember.member_id == context.project_id)))  # fmt: skip


def get_member(session: Session, context: Context, image_id: str, member_id: str) -> ImageMember:
    """One membership; 404 when there is none, or it is another project's."""
    image = _shared(session, context, image_id)
    if not policy.allowed(context, "get_member", target(context, image)):
        raise NotFound(f"{member_id} not found in the member list of the image {image.id}.")
    return _find(session, context, image, member_id)


def add_member(session: Session, context: Context, image_id: str, member_id: str) -> ImageMember:
    """Offers the image to a project, whose answer is pending; 409 when it has been offered before."""
    image = _shared(session, context, image_id, lock=True)
    policy.authorize(context, "add_member", target(context, image))
    if session.get(ImageMember, (image.id, member_id)):
        raise Conflict(f"Member {member_id} is duplicated for image {image.id}")
    count = session.scalar(select(func.count()).select_from(ImageMember).where(ImageMember.image_id == image.id)) or 0
    if count >= MAX_MEMBERS:
        raise PayloadTooLarge(f"The limit has been exceeded on the number of allowed image members: {MAX_MEMBERS}")
    now = utcnow()
    member = ImageMember(image_id=image.id, member_id=member_id, status="pending", created_at=now, updated_at=now)
    session.add(member)
    session.flush()
    return member


def answer(session: Session, context: Context, image_id: str, member_id: str, status: str) -> ImageMember:
    """A project's answer to the offer: only that project (or an administrator) gives it."""
    image = _shared(session, context, image_id, lock=True)
    policy.authorize(context, "modify_member", target(context, image))
    member = _find(session, context, image, member_id)
    if not context.is_admin and member.member_id != context.project_id:
        raise Forbidden(f"Not allowed to update members for image {image.id}.")
    member.status, member.updated_at = status, utcnow()
    session.flush()
    return member


def remove_member(session: Session, context: Context, image_id: str, member_id: str) -> None:
    """Withdraws the offer."""
    image = _shared(session, context, image_id, lock=True)
    policy.authorize(context, "delete_member", target(context, image))
    session.delete(_find(session, context, image, member_id))
    session.flush()


def _shared(session: Session, context: Context, image_id: str, *, lock: bool = False) -> Image:
    image = visible_image(session, context, image_id, lock=lock)
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    return image


def _sees_all(context: Context, image: Image) -> bool:
    return context.is_admin or image.owner == context.project_id


def _find(session: Session, context: Context, image: Image, member_id: str) -> ImageMember:
    member = session.get(ImageMember, (image.id, member_id))
    if member is None or not (_sees_all(context, image) or member.member_id == context.project_id):
        raise NotFound(f"{member_id} not found in the member list of the image {image.id}.")
    return member
