"""Who sees which image: as SQL conditions, so that lists need no policy call a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select, true
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.faults import NotFound
from api.image.models import Image, ImageMember


def is_member(project_id: str, *statuses: str) -> ColumnElement[bool]:
    """Images that are shared with the project, with its answer among `statuses` (none given: any answer)."""
    shared = select(ImageMember.image_id).where(
        ImageMember.image_id == Image.id, ImageMember.member_id == project_id
    )  # fmt: skip
    if statuses:
        shared = shared.where(ImageMember.status.in_(statuses))
    return (Image.visibility == "shared") & exists(shared)


def may_see(context: Context, *member_statuses: str) -> ColumnElement[bool]:
    """Images that the caller may know of: public, community, the project's own, and those shared with it."""
    if context.is_admin:
        return true()
    choices: list[ColumnElement[bool]] = [Image.visibility.in_(("public", "community"))]
    if context.project_id:
        choices += [Image.owner == context.project_id, is_member(context.project_id, *member_statuses)]
    return or_(*choices)


def visible_image(session: Session, context: Context, image_id: str, *, lock: bool = False) -> Image:
    """The image of that id; 404 when there is none, or none that the caller may know of."""
    query = select(Image).where(Image.id == image_id, may_see(context))
    image = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if image is None:
        raise NotFound(f"No image found with ID {image_id}")
    return image


def target(context: Context, image: Image) -> dict[str, Any]:
    """The image as policy rules refer to it. `member_id` is the caller's project: `visible_image` checked the rest."""
    member = context.project_id if image.visibility == "shared" and image.owner != context.project_id else ""
    owner = image.owner or ""  # never None: a caller without a project must not be taken for the owner
    return {"project_id": owner, "owner": owner, "visibility": image.visibility, "member_id": member or ""}
