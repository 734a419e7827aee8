"""/v2/images: the images themselves, their tags, and taking them out of use."""

from __future__ import annotations

from flask import Response, request

from api.config import settings
from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.faults import UnsupportedMediaType
from api.http.responses import empty, json_response
from api.http.validation import any_json_body, json_body
from api.image import importing, service, store
from api.image.listing import list_images
from api.image.patch import MEDIA_TYPES, parse_patch
from api.image.routes.base import blueprint
from api.image.rules import refuse_foreign
from api.image.schemas import IMAGE, TAG
from api.image.views import image_view


@blueprint.get("/v2/images", strict_slashes=True)  # an empty id is no image, and not the list
def index() -> Response:
    policy.authorize(context(), "get_images")
    return json_response(list_images(read_session(), context()))


@blueprint.post("/v2/images", strict_slashes=True)
def create() -> Response:
    body = json_body()
    for name in body:
        refuse_foreign(name)
    image = service.create_image(write_session(), context(), IMAGE.check(body))
    return json_response(image_view(image), 201, {
        "Location": f"{settings().url()}/image/v2/images/{image.id}",
        "OpenStack-image-import-methods": ",".join(importing.methods()),
        "OpenStack-image-store-ids": ",".join(store.directories()),
    })  # fmt: skip


@blueprint.get("/v2/images/<image_id>")
def show(image_id: str) -> Response:
    return json_response(image_view(service.get_image(read_session(), context(), image_id)))


@blueprint.patch("/v2/images/<image_id>")
def update(image_id: str) -> Response:
    if request.mimetype not in MEDIA_TYPES:
        allowed = ", ".join(MEDIA_TYPES)
        message = f"Image PATCH expects Content-Type one of: {allowed}"
        raise UnsupportedMediaType(message, headers={"Accept-Patch": allowed})
    changes = parse_patch(any_json_body(), request.mimetype)
    return json_response(image_view(service.update_image(write_session(), context(), image_id, changes)))


@blueprint.delete("/v2/images/<image_id>")
def delete(image_id: str) -> Response:
    service.delete_image(write_session(), context(), image_id)
    return empty()


@blueprint.put("/v2/images/<image_id>/tags/<path:value>")
def add_tag(image_id: str, value: str) -> Response:
    service.add_tag(write_session(), context(), image_id, TAG.check(value))
    return empty()


@blueprint.delete("/v2/images/<image_id>/tags/<path:value>")
def remove_tag(image_id: str, value: str) -> Response:
    service.remove_tag(write_session(), context(), image_id, value)
    return empty()


@blueprint.post("/v2/images/<image_id>/actions/deactivate")
def deactivate(image_id: str) -> Response:
    service.set_active(write_session(), context(), image_id, active=False)
    return empty()


@blueprint.post("/v2/images/<image_id>/actions/reactivate")
def reactivate(image_id: str) -> Response:
    service.set_active(write_session(), context(), image_id, active=True)
    return empty()
