"""The bytes: upload, download, and the download by a signed URL for hosts. Run by the streams worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from flask import Response, request
from werkzeug.datastructures import Headers

from api.db.session import database
from api.http import policy
from api.http.current import context
from api.http.faults import BadRequest, Forbidden, InternalError, NotFound, RangeNotSatisfiable, UnsupportedMediaType
from api.http.internal import internal
from api.http.responses import empty
from api.image import service, store, upload
from api.image.body import RequestBody
from api.image.models import ACTIVE, DEACTIVATED, Image
from api.image.routes.base import blueprint
from api.image.visibility import target, visible_image

CHUNK_BYTES = 1 << 20
SIZE_HEADER = "X-OpenStack-Image-Size"
STORE_HEADER = "X-Image-Meta-Store"


@blueprint.put("/v2/images/<image_id>/file")
def put_file(image_id: str) -> Response:
    """Stores the request's body as the image's bytes."""
    wanted = request.headers.get(STORE_HEADER)
    _take_body(lambda body: upload.receive(context(), image_id, body, _expected_size(), wanted))
    return empty()


@blueprint.put("/v2/images/<image_id>/stage")
def stage_file(image_id: str) -> Response:
    """Keeps the request's body until it is imported."""
    _take_body(lambda body: upload.stage(context(), image_id, body, _expected_size()))
    return empty()


def _take_body(take: Callable[[RequestBody], None]) -> None:
    """Hands the body over; what a refused upload still sends is read, so that the client gets to read why."""
    body = RequestBody(request)
    try:
        if request.mimetype != "application/octet-stream":
            raise UnsupportedMediaType("Send the image's bytes as application/octet-stream.")
        take(body)
    except BaseException:
        body.drain()
        raise


def _expected_size() -> int | None:
    told = request.headers.get(SIZE_HEADER)
    if told is not None and not (told.isascii() and told.isdigit() and len(told) < 19):
        raise BadRequest(f"{SIZE_HEADER} is not a number of bytes.")
    if told is not None and request.content_length not in (None, int(told)):
        raise BadRequest(f"{SIZE_HEADER} and Content-Length differ.")
    return request.content_length if told is None else int(told)


@blueprint.get("/v2/images/<image_id>/file")
def get_file(image_id: str) -> Response:
    """The image's bytes, whole or a range of them; 204 while there are none."""
    with database().read() as session:
        image = visible_image(session, context(), image_id)
        policy.authorize(context(), "download_image", target(context(), image))
        if image.status == DEACTIVATED and not context().is_admin:
            raise Forbidden(f"The requested image {image.id} has been deactivated. Image data download is forbidden.")
        return _file_of(image) if image.status in (ACTIVE, DEACTIVATED) else empty()


@internal("/images/<image_id>")
def get_file_signed(image_id: str) -> Response:
    """The image's bytes for a host that holds a URL made by `service.host_url`."""
    if not service.is_host_url(image_id, request.args.get("expires", ""), request.args.get("signature", "")):
        raise Forbidden("The URL's signature is wrong or has expired. Repeat the job, it makes a new one.")
    with database().read() as session:
        image = session.get(Image, image_id)
        if image is None or image.status not in (ACTIVE, DEACTIVATED):
            raise NotFound(f"Image {image_id} has no bytes (any more).")
        return _file_of(image)


def _file_of(image: Image) -> Response:
    """An answer that reads the opened file later, when the transaction of `image` is over."""
    try:
        descriptor = store.open_for_reading(image.id, image.stores)
    except FileNotFoundError:
        raise InternalError(f"The bytes of image {image.id} are missing from the image store.") from None
    try:
        size = os.fstat(descriptor).st_size
        start, end, partial = _range(size)
    except BaseException:
        os.close(descriptor)
        raise
    headers = Headers({"Content-Length": str(end - start), "Accept-Ranges": "bytes"})
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    elif image.checksum:
        headers["Content-MD5"] = image.checksum  # hexadecimal, as Glance has it, and of the whole
    response = Response(
        _Chunks(descriptor, start, end), 206 if partial else 200, headers, mimetype="application/octet-stream"
    )
    response.direct_passthrough = True
    return response


def _range(size: int) -> tuple[int, int, bool]:
    """First byte, byte after the last, and whether that is a part (RFC 9110, section 14)."""
    asked = request.range
    if asked is None:
        if request.headers.get("Range"):
            raise RangeNotSatisfiable("The Range header is malformed.", headers={"Content-Range": f"bytes */{size}"})
        return 0, size, False
    found = asked.range_for_length(size)
    if asked.units != "bytes" or found is None:
        raise RangeNotSatisfiable(
            f"The image has {size} bytes; ask for one range of them.", headers={"Content-Range": f"bytes */{size}"}
        )
    return found[0], found[1], True


class _Chunks:
    """An open file's bytes from `start` to `end`, a chunk at a time; closes the file."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        self._descriptor, self._position, self._end = descriptor, start, end

    def __iter__(self) -> Iterator[bytes]:
        while self._position < self._end:
            chunk = os.pread(self._descriptor, min(CHUNK_BYTES, self._end - self._position), self._position)
            if not chunk:
                return
            self._position += len(chunk)
            yield chunk

    def close(self) -> None:
        """Called by the WSGI server at the end, also when the client went away."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
