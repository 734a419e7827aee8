"""PUT /internal/images/{id}: the bytes of a server's image, from its host. Run by the streams worker."""

from __future__ import annotations

from flask import Response, request

from api.http.context import Context
from api.http.current import request_id
from api.http.faults import Forbidden
from api.http.internal import internal
from api.http.responses import empty
from api.image import snapshots, upload
from api.image.body import RequestBody


@internal("/images/<image_id>", method="PUT")
def put_file_signed(image_id: str) -> Response:
    """Stores the body as the bytes of an image whose URL `snapshots.upload_url` made; 409 when it has some already."""
    body = RequestBody(request)
    try:
        if not snapshots.is_upload_url(image_id, request.args.get("expires", ""), request.args.get("signature", "")):
            raise Forbidden("The URL's signature is wrong or has expired. Repeat the job, it makes a new one.")
        cloud = Context(request_id=request_id(), user_id="", roles=("admin",))
        upload.receive(cloud, image_id, body, request.content_length)
    except BaseException:
        body.drain()
        raise
    return empty()
