"""create_app(): the only place that knows every service."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence

from flask import Flask, Response

from api.http import policy
from api.http.current import public
from api.http.internal import internal_service
from api.http.responses import json_response
from api.http.wiring import Service, install

SERVICES = ("identity", "placement", "network", "image", "compute")
"""Rooms in the order of who may import whom: each knows only those before it."""


def create_app(services: Sequence[str] = SERVICES) -> Flask:
    """The API with these services. Opens no connection, so that it can be forked."""
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


def load_services(services: Sequence[str] = SERVICES) -> None:
    """Imports every service's tables and actions and subscribes its listeners. Needs no Flask: the engine uses it."""
    for name in services:
        for part in ("models", "actions"):
            if importlib.util.find_spec(f"api.{name}.{part}"):
                importlib.import_module(f"api.{name}.{part}")
        service = importlib.import_module(f"api.{name}.service")
        if hasattr(service, "subscribe"):
            service.subscribe()
