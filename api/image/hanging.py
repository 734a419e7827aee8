"""A project's images, as what hangs on it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.context import Context
from api.http.hanging import Hanging, Purge
from api.image.models import Image
from api.image.service import discard

TYPE = "image.image"


def tell(session: Session, *, project_id: str, found: list[Hanging]) -> None:
    """Adds the images to `found`."""
    for row in session.execute(select(Image.id, Image.name, Image.status).where(Image.owner == project_id)):
        found.append(Hanging(TYPE, row.id, row.name or "", row.status))


def purge(session: Session, *, context: Context, purge: Purge) -> None:
    """Deletes them; protected ones stay."""
    for image in session.scalars(select(Image).where(Image.owner == context.project_id)).all():
        purge.remove(session, TYPE, image.id, lambda image=image: discard(session, image))  # type: ignore[misc]
