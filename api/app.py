"""create_app(): the HTTP API of all services."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from flask import Flask, Response

from api.http import policy
from api.http.current import public
from api.http.internal import internal_service
from api.http.responses import json_response
from api.http.wiring import Service, install
from api.services import SERVICES, load_services


def create_app(services: Sequence[str] = SERVICES) -> Flask:
    """The API with these services. Opens no connection, so that it can be forked."""
    policy.leave_out_http_checks()
    load_services(services)
    app = Flask("stratiform", static_folder=None)
    app.url_map.strict_slashes = False
    faces: list[Service] = []
    for name in services:
        policy.register(importlib.import_module(f"api.{name}.policies").RULES)
        faces.append(importlib.import_module(f"api.{name}.routes").SERVICE)
    authenticate = importlib.import_module("api.identity.service").authenticate_token
    install(app, [*faces, internal_service()], authenticate)

    @app.get("/")
    @public
    def root() -> Response:
        return json_response({"name": "Stratiform", "services": [f"/{face.prefix}" for face in faces]})

    return app
