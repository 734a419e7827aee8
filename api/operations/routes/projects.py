"""Projects with leftovers: what hangs on one, and emptying it."""

from __future__ import annotations

from flask import Response

from api.http.current import context, read_session, write_session
from api.http.responses import json_response
from api.operations import purging
from api.operations.routes.base import blueprint

_PROJECT = "/v1/projects/<project_id>"


@blueprint.get(f"{_PROJECT}/hangs-on")
def show_what_hangs_on(project_id: str) -> Response:
    return json_response(purging.shown(read_session(), context(), project_id))


@blueprint.get(f"{_PROJECT}/purge")
def show_purge(project_id: str) -> Response:
    return json_response({"purge": purging.view(purging.get(read_session(), context(), project_id))})


@blueprint.post(f"{_PROJECT}/purge")
def purge_project(project_id: str) -> Response:
    purge = purging.start(write_session(), context(), project_id)
    location = {"Location": f"/operations/v1/projects/{project_id}/purge"}
    return json_response({"purge": purging.view(purge)}, 202, location)
