"""What killed processes leave behind: images that nobody writes to, imports without an end, files of no image.

Known to the engine, so without the code that looks into images.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.image import store
from api.image.models import (
    ACTIVE,
    DEACTIVATED,
    FAILURE,
    IMPORTING,
    PENDING,
    PROCESSING,
    QUEUED,
    SAVING,
    UPLOADING,
    Image,
    ImageTask,
)


def is_abandoned(image: Image) -> bool:
    """Whether the process that writes the image's bytes was killed."""
    waits = image.status == UPLOADING and image.staged_size is not None
    at_work = image.status in (SAVING, UPLOADING, IMPORTING) and not waits
    return at_work and not store.is_uploading(image.id, image.upload_token or "")


def sweep(session: Session) -> None:
    """Brings all of that into a state to go on from."""
    _end_tasks(session)
    kept: dict[str, set[str]] = {name: set() for name in store.directories()}
    for image in session.scalars(select(Image).where(Image.status.in_((SAVING, UPLOADING, IMPORTING)))):
        if is_abandoned(image):
            image.become(QUEUED)
            image.upload_token = image.staged_size = None
        else:
            kept[store.default_store()].add(store.staged_of(image.id).name)
    having = select(Image.id, Image.stores).where(Image.status.in_((ACTIVE, DEACTIVATED)))
    for image_id, stores in session.execute(having):
        for name in stores:
            kept.setdefault(name, set()).add(image_id)
    for name in store.directories():
        for path in store.strays(kept[name], name):
            path.unlink(missing_ok=True)


def _end_tasks(session: Session) -> None:
    """Fails the imports whose process is gone, and forgets those that were over long ago."""
    for task in session.scalars(select(ImageTask).where(ImageTask.status.in_((PENDING, PROCESSING)))):
        if task.image_id is None or store.is_uploading(task.image_id, task.id):
            continue
        task.become(FAILURE, "The process that carried out the import ended. Import again.")
        image = session.get(Image, task.image_id)
        if image is not None and image.importing_stores:
            image.failed_stores = [*(image.failed_stores or ()), *image.importing_stores]
            image.importing_stores = []
    session.execute(delete(ImageTask).where(ImageTask.expires_at < utcnow()))
