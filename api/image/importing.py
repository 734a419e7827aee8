"""Imports: staged bytes (`glance-direct`), a URL's (`web-download`) or another store's (`copy-image`) become an image.

`start` takes the image in one short transaction, with a locked file that tells everybody that the import lives; a
thread of this process does the rest. When the process is killed, the lock goes and api/image/repair.py puts the image
back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from api.db.base import new_uuid
from api.db.session import after_commit, database
from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Conflict, Fault, Forbidden, NotFound, ServiceUnavailable
from api.image import repair, service, store, upload, web
from api.image.formats import Source
from api.image.models import (
    ACTIVE,
    FAILURE,
    IMPORTING,
    PROCESSING,
    QUEUED,
    SUCCESS,
    UPLOADING,
    Image,
    ImageTask,
)
from api.image.rules import refuse_foreign
from api.image.schemas import IMAGE
from api.image.visibility import target, visible_image

log = logging.getLogger("stratiform.image")
DIRECT, WEB, COPY = "glance-direct", "web-download", "copy-image"
METHODS = (DIRECT, WEB, COPY)
AT_ONCE = 2
MAX_WAITING = 100


@dataclass(frozen=True)
class Work:
    """One import that was begun: `stores` in the order in which they are written, the first one's file locked."""

    task_id: str
    image_id: str
    method: str
    uri: str
    stores: tuple[str, ...]
    all_must_succeed: bool
    first: store.Upload


def methods() -> list[str]:
    """The ways to import; copying needs a second store."""
    return [method for method in METHODS if method != COPY or len(store.directories()) > 1]


def start(context: Context, image_id: str, body: dict[str, Any], header_store: str | None) -> ImageTask:
    """Begins the import that the (schema-checked) body asks for, and returns at once; 4xx as Glance answers."""
    _workers.check_room()
    with _begun(context, image_id, body, header_store) as (work, task):
        _workers.put(work)
        return task


def start_task(context: Context, body: dict[str, Any]) -> ImageTask:
    """The old way: an image with these properties is made, and the import of a URL's bytes into it begun."""
    given = body["input"]
    for name in given["image_properties"]:
        refuse_foreign(name)
    wanted = IMAGE.check({"disk_format": given["import_from_format"], "container_format": "bare"}
                         | given["image_properties"])  # fmt: skip
    asked = {"method": {"name": WEB, "uri": given["import_from"]}}
    _uri(asked)
    with database().write() as session:
        image_id = service.create_image(session, context, wanted).id
    return start(context, image_id, asked, None)


@contextlib.contextmanager
def _begun(
    context: Context, image_id: str, body: dict[str, Any], header_store: str | None
) -> Iterator[tuple[Work, ImageTask]]:
    method = body["method"]["name"]
    if method not in methods():
        raise BadRequest(f"Unknown import method name {method[:64]!r}. GET /v2/info/import lists them.")
    uri = _uri(body) if method == WEB else ""
    stores = _stores(body, header_store)
    image_id = _image_id(context, image_id, method)
    if method == COPY:
        stores = _missing(image_id, stores)
    task_id = new_uuid()
    first = store.begin(image_id, task_id, stores[0])
    try:
        with database().write() as session:
            task = _take(session, context, image_id, task_id, body, stores)
        work = Work(task_id, image_id, method, uri, tuple(stores), body.get("all_stores_must_succeed", True), first)
        yield work, task
    except BaseException:
        first.discard()
        first.close()
        raise


def _uri(body: dict[str, Any]) -> str:
    uri = body["method"].get("uri")
    if not uri:
        raise BadRequest("URI is required for web-download: give it as method.uri.")
    try:
        web.check(uri)
    except web.BadUrl as error:
        raise BadRequest(f"URI for web-download does not pass filtering: {error}") from None
    return str(uri)


def _stores(body: dict[str, Any], header_store: str | None) -> list[str]:
    known = list(store.directories())
    if body.get("all_stores"):
        if "stores" in body:
            raise BadRequest("Give either all_stores or stores.")
        return known
    wanted = list(dict.fromkeys(body.get("stores") or ([header_store] if header_store else known[:1])))
    for name in wanted:
        upload.check_store(name)
    return wanted


def _image_id(context: Context, image_id: str, method: str) -> str:
    """The id as the database has it (only UUIDs make file names), for who may import."""
    with database().read() as session:
        image = visible_image(session, context, image_id)
        policy.authorize(context, "copy_image" if method == COPY else "modify_image", target(context, image))
        return image.id


def _missing(image_id: str, stores: list[str]) -> list[str]:
    with database().read() as session:
        image = session.get(Image, image_id)
        missing = [name for name in stores if image is not None and name not in image.stores]
    if not missing:
        raise BadRequest("The image is already present in all the stores asked for.")
    return missing


def _take(
    session: Session, context: Context, image_id: str, task_id: str, body: dict[str, Any], stores: list[str]
) -> ImageTask:
    """Marks the image as being imported and writes the task down."""
    method = body["method"]["name"]
    image = visible_image(session, context, image_id, lock=True)
    if repair.is_abandoned(image):
        image.become(QUEUED)
        image.upload_token = image.staged_size = None
    if not image.disk_format or not image.container_format:
        raise BadRequest("Properties disk_format, container_format must be set prior to importing data.")
    if method == COPY:
        if image.status != ACTIVE:
            raise Conflict("Only images with status active can be targeted for copying")
        if image.importing_stores:
            raise Conflict("The image is being copied. Wait until that is over.")
    elif method == WEB and image.status != QUEUED:
        raise Conflict(f"Image needs to be in 'queued' state to use 'web-download' method, it is {image.status}")
    elif method == DIRECT and (image.status != UPLOADING or image.staged_size is None):
        raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
    if method != COPY:
        image.become(IMPORTING)
        image.upload_token = task_id
    image.importing_stores, image.failed_stores = list(stores), []
    asked = {"image_id": image.id, "import_req": body, "backend": stores}
    task = ImageTask(
        id=task_id, type="api_image_import", owner=context.project_id, user_id=context.user_id, image_id=image.id,
        request_id=context.request_id, input=asked,
    )  # fmt: skip
    session.add(task)
    session.flush()
    return task


def run(work: Work) -> None:
    """Carries an import out to its end, whatever that is."""
    done: list[store.Upload] = []
    try:
        _note(work.task_id, PROCESSING)
        written, stored = _bring(work, done)
        _finish(work, written, stored)
    except BaseException as error:
        for each in done:
            each.discard()
        _fail(work, _sentence(error))
        if not isinstance(error, Exception):
            raise
    finally:
        work.first.close()
        for each in done:
            if each is not work.first:
                each.close()
        if work.method == DIRECT:
            store.remove_staged(work.image_id)


def _bring(work: Work, done: list[store.Upload]) -> tuple[upload.Written | None, list[str]]:
    """Writes the bytes into every store; those that have them are added to `done`. What was found, and the stores."""
    written: upload.Written | None = None
    stored: list[str] = []
    for number, name in enumerate(work.stores):
        current: store.Upload | None = None
        try:
            current = work.first if number == 0 else store.begin(work.image_id, work.task_id, name)
            done.append(current)
            if number == 0 and work.method != COPY:
                written = _first(work)
            else:
                _copy(work, current, stored)
            current.publish()
            stored.append(name)
        except (OSError, Fault) as error:
            if work.all_must_succeed or not stored:
                raise
            log.warning("image %s was not copied to the store %s: %s", work.image_id, name, error)
            if current is not None:
                current.discard()
    return written, stored


def _first(work: Work) -> upload.Written:
    with database().read() as session:
        image = session.get(Image, work.image_id)
        if image is None or image.disk_format is None:
            raise NotFound("The image was deleted during its import.")
        disk_format = image.disk_format
    if work.method == WEB:
        download = web.fetch(work.uri)
        try:
            return upload.write(work.first, download, disk_format, download.length)
        finally:
            download.close()
    with store.staged_of(work.image_id).open("rb", buffering=0) as staged:
        return upload.write(work.first, _Raw(staged.fileno()), disk_format, os.fstat(staged.fileno()).st_size)


class _Raw:
    """An open file as a source."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        return os.read(self._descriptor, size)


def _copy(work: Work, target_file: store.Upload, stored: list[str]) -> None:
    with database().read() as session:
        image = session.get(Image, work.image_id)
        have = [*(image.stores if image is not None else ()), *stored]
    descriptor = store.open_for_reading(work.image_id, have)
    try:
        source: Source = _Raw(descriptor)
        upload.copy(target_file, source, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def _finish(work: Work, written: upload.Written | None, stored: list[str]) -> None:
    with database().write() as session:
        image = session.get(Image, work.image_id, with_for_update=True)
        if image is None or (written is not None and image.upload_token != work.task_id):
            raise NotFound("The image was deleted during its import.")
        if written is not None:
            upload.activate(image, written, stored)
        else:
            image.stores = [*image.stores, *stored]
        image.importing_stores = []
        image.failed_stores = [name for name in work.stores if name not in stored]
        task = session.get(ImageTask, work.task_id)
        if task is not None:
            task.become(SUCCESS)
            task.result = {"image_id": work.image_id}


def _fail(work: Work, message: str) -> None:
    log.info("the import %s of image %s failed: %s", work.task_id, work.image_id, message)
    with database().write() as session:
        image = session.get(Image, work.image_id, with_for_update=True)
        if image is not None and image.upload_token == work.task_id:
            image.become(QUEUED)
            image.upload_token = image.staged_size = None
        if image is not None:
            image.importing_stores, image.failed_stores = [], list(work.stores)
        task = session.get(ImageTask, work.task_id)
        if task is not None:
            task.become(FAILURE, message)


def _note(task_id: str, status: str) -> None:
    with database().write() as session:
        task = session.get(ImageTask, task_id)
        if task is not None:
            task.become(status)


def _sentence(error: BaseException) -> str:
    """Why it failed, for the tenant: no path and nothing of the inside."""
    if isinstance(error, web.BadUrl):
        return str(error)
    fault = upload.fault_of(error)
    if fault is not None:
        return fault.message
    if isinstance(error, TimeoutError | ConnectionError):
        return f"The download failed: {str(error) or 'the server does not answer'}."
    log.exception("an import failed in a way that was not expected")
    return "The import failed. The operator finds the reason in the API's log."


class _Workers:
    """A few threads of this process; started at the first import, since a fork takes no threads along."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._queue: queue.Queue[Work] = queue.Queue(MAX_WAITING)

    def check_room(self) -> None:
        """503 when too many imports wait here."""
        if self._pid == os.getpid() and self._queue.full():
            raise ServiceUnavailable("Too many imports wait already. Try again.", headers={"Retry-After": "60"})

    def put(self, work: Work) -> None:
        """Hands the import to the next thread that is free."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._queue = os.getpid(), queue.Queue(MAX_WAITING)
                for number in range(AT_ONCE):
                    threading.Thread(
                        target=self._serve, args=(self._queue,), name=f"import-{number}", daemon=True
                    ).start()  # fmt: skip
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            _fail(work, "Too many imports wait already. Try again.")
            raise ServiceUnavailable("Too many imports wait already.", headers={"Retry-After": "60"}) from None

    def _serve(self, works: queue.Queue[Work]) -> None:
        while True:
            work = works.get()
            try:
                run(work)
            except Exception:  # noqa: BLE001 - the thread must live on for the next import
                log.exception("the import %s could not be ended", work.task_id)
            finally:
                works.task_done()

    def wait(self) -> None:
        """Waits until nothing is left to do (tests)."""
        self._queue.join()


_workers = _Workers()
wait = _workers.wait


def remove_from_store(session: Session, context: Context, store_id: str, image_id: str) -> None:
    """Deletes an image's bytes from one of its stores; 403 from its only one."""
    if store_id not in store.directories():
        raise NotFound(f"There is no store {store_id[:64]!r}.")
    image = visible_image(session, context, image_id, lock=True)
    policy.authorize(context, "delete_image_location", target(context, image))
    if image.protected:
        raise Forbidden(f"Image {image.id} is protected and cannot be deleted.")
    if image.status != ACTIVE:
        raise Conflict(f"The image is not active, but {image.status}.")
    if store_id not in image.stores:
        raise NotFound(f"Image {image.id} is not stored on store {store_id}.")
    if len(image.stores) == 1:
        raise Forbidden(f"Cannot delete image {image.id} from its only store. Delete the image instead.")
    image.stores = [name for name in image.stores if name != store_id]
    session.flush()
    after_commit(session, lambda: store.remove(image.id, [store_id]))
