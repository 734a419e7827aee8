"""The way of an upload: queued -> saving -> bytes -> active. Two short transactions, and none while bytes flow."""

from __future__ import annotations

import errno
import hashlib
import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.config import settings
from api.db.session import database
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, Fault, Gone, PayloadTooLarge, UnsupportedMediaType
from api.image import repair, store
from api.image.formats import BadContent, Inspection, Source
from api.image.models import ACTIVE, DEACTIVATED, QUEUED, SAVING, UPLOADING, Image
from api.image.visibility import target, visible_image

CHUNK_BYTES = 1 << 20
HASH = "sha512"


class BrokenOff(Exception):
    """The client went away, or sent fewer bytes than it said."""


@dataclass(frozen=True)
class Written:
    """What came of the bytes. Sizes in bytes."""

    size: int
    virtual_size: int
    checksum: str
    hash_value: str


def receive(
    context: Context, image_id: str, source: Source, expected_size: int | None, wanted_store: str | None = None
) -> None:
    """Stores what `source` gives as the image's bytes, and makes it active; on any failure it is queued again.

    `expected_size` in bytes, when the client told. Raises faults as Glance answers: 400, 403, 404, 409, 410, 413, 415.
    """
    _refuse_size(expected_size or 0)
    chosen = check_store(wanted_store)
    token = uuid.uuid4().hex
    with store.uploading(image_id_on_disk(context, image_id), token, chosen) as upload:
        try:
            disk_format = _begin(context, image_id, token)
            written = write(upload, source, disk_format, expected_size)
            upload.publish()
            _finish(image_id, token, written, chosen)
        except BaseException as error:
            if not (_abandon(image_id, token) and upload.published):
                upload.discard()
            if fault := fault_of(error):
                raise fault from error
            raise


def check_store(wanted: str | None) -> str:
    """The store asked for, or the default one; 400 when there is none such."""
    if wanted is not None and wanted not in store.directories():
        raise BadRequest(f"There is no store {wanted[:64]!r}. GET /v2/info/stores lists them.")
    return wanted or store.default_store()


def stage(context: Context, image_id: str, source: Source, expected_size: int | None) -> None:
    """Keeps what `source` gives until it is imported (`glance-direct`); on any failure the image is queued again."""
    _refuse_size(expected_size or 0)
    token = uuid.uuid4().hex
    image_id = image_id_on_disk(context, image_id)
    with store.uploading(image_id, token, place=store.staged_of(image_id)) as upload:
        try:
            _begin(context, image_id, token, UPLOADING)
            size = copy(upload, source, expected_size)
            upload.publish()
            _finish_staging(image_id, token, size)
        except BaseException as error:
            _abandon(image_id, token)
            upload.discard()
            if fault := fault_of(error):
                raise fault from error
            raise


def copy(upload: store.Upload, source: Source, expected_size: int | None) -> int:
    """Writes what `source` gives as it is; how many bytes those were."""
    size = 0
    while chunk := source.read(CHUNK_BYTES):
        size += len(chunk)
        _refuse_size(size)
        upload.write(chunk)
    if expected_size is not None and size != expected_size:
        raise BrokenOff(f"{size} of {expected_size} bytes came.")
    return size


def _finish_staging(image_id: str, token: str, size: int) -> None:
    with database().write() as session:
        image = own(session, image_id, token, UPLOADING)
        if image is None:
            raise Gone(f"Image {image_id} was deleted during its upload.")
        image.upload_token, image.staged_size = None, size


def image_id_on_disk(context: Context, image_id: str) -> str:
    """The id as the database has it (only UUIDs make file names); 404 and 403 before anything is made."""
    with database().read() as session:
        image = visible_image(session, context, image_id)
        policy.authorize(context, "upload_image", target(context, image))
        return image.id


def _begin(context: Context, image_id: str, token: str, status: str = SAVING) -> str:
    with database().write() as session:
        image = visible_image(session, context, image_id, lock=True)
        if repair.is_abandoned(image):
            image.become(QUEUED)
        if image.status != QUEUED:
            raise Conflict(f"Image status transition from {image.status} to {status} is not allowed.")
        if not image.disk_format or not image.container_format:
            raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
        image.become(status)
        image.upload_token, image.staged_size = token, None
        return image.disk_format


def write(upload: store.Upload, source: Source, disk_format: str, expected_size: int | None) -> Written:
    """Writes what `source` gives and looks at it: raises BadContent, BrokenOff, PayloadTooLarge, OSError."""
    inspection = Inspection(source, disk_format)
    checksum, digest = hashlib.md5(usedforsecurity=False), hashlib.new(HASH)
    size = 0
    while chunk := inspection.read(CHUNK_BYTES):
        size += len(chunk)
        _refuse_size(size)
        checksum.update(chunk)
        digest.update(chunk)
        upload.write(chunk)
    if expected_size is not None and size != expected_size:
        raise BrokenOff(f"{size} of {expected_size} bytes came.")
    virtual_size = inspection.finish(upload.descriptor, size)
    return Written(size, virtual_size, checksum.hexdigest(), digest.hexdigest())


def _refuse_size(size: int) -> None:
    limit = settings().image.max_size_bytes
    if size > limit:
        raise PayloadTooLarge(f"Denying attempt to upload image larger than {limit} bytes.")


def _finish(image_id: str, token: str, written: Written, chosen: str) -> None:
    with database().write() as session:
        image = own(session, image_id, token, SAVING)
        if image is None:
            raise Gone(f"Image {image_id} was deleted during its upload.")
        activate(image, written, [chosen])


def activate(image: Image, written: Written, stores: list[str]) -> None:
    """The bytes are there, and in these stores."""
    image.become(ACTIVE)
    image.upload_token, image.staged_size, image.stores = None, None, stores
    image.size, image.virtual_size = written.size, written.virtual_size
    image.checksum, image.os_hash_algo, image.os_hash_value = written.checksum, HASH, written.hash_value


def _abandon(image_id: str, token: str) -> bool:
    """Queues the image again if this upload had it. Whether it is past that: published bytes must stay then."""
    with database().write() as session:
        image = session.get(Image, image_id, with_for_update=True)
        if image is not None and image.upload_token == token:
            image.become(QUEUED)
            image.upload_token, image.staged_size = None, None
        return image is not None and image.status in (ACTIVE, DEACTIVATED)


def own(session: Session, image_id: str, token: str, status: str) -> Image | None:
    """The image, if this very upload is still the one that it waits for."""
    mine = select(Image).where(Image.id == image_id, Image.upload_token == token, Image.status == status)
    return session.scalars(mine.with_for_update()).one_or_none()


def fault_of(error: BaseException) -> Fault | None:
    """How the failure is told to the client; None for what is no expected failure."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, BadContent):
        return UnsupportedMediaType(str(error))
    if isinstance(error, BrokenOff):
        return BadRequest(f"The upload broke off: {error} The image is queued again.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PayloadTooLarge("There is not enough disk space on the image store. Ask the operator for more.")
    return None
