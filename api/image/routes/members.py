"""/v2/images/<id>/members: whom an image is shared with."""

from __future__ import annotations

from flask import Response

from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.image import members
from api.image.routes.base import blueprint
from api.image.schemas import MEMBER_CREATE, MEMBER_UPDATE
from api.image.views import member_view


@blueprint.get("/v2/images/<image_id>/members")
def list_members(image_id: str) -> Response:
    found = members.list_members(read_session(), context(), image_id)
    return json_response({"members": [member_view(member) for member in found], "schema": "/v2/schemas/members"})


@blueprint.post("/v2/images/<image_id>/members")
def add_member(image_id: str) -> Response:
    body = json_body(MEMBER_CREATE)
    return json_response(member_view(members.add_member(write_session(), context(), image_id, body["member"])))


@blueprint.get("/v2/images/<image_id>/members/<member_id>")
def show_member(image_id: str, member_id: str) -> Response:
    return json_response(member_view(members.get_member(read_session(), context(), image_id, member_id)))


@blueprint.put("/v2/images/<image_id>/members/<member_id>")
def update_member(image_id: str, member_id: str) -> Response:
    status = json_body(MEMBER_UPDATE)["status"]
    return json_response(member_view(members.answer(write_session(), context(), image_id, member_id, status)))


@blueprint.delete("/v2/images/<image_id>/members/<member_id>")
def remove_member(image_id: str, member_id: str) -> Response:
    members.remove_member(write_session(), context(), image_id, member_id)
    return empty()
