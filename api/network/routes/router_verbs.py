"""A router's verbs: interfaces and extra routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from api.http import policy
from api.http.context import Context
from api.http.current import context, write_session
from api.http.responses import json_response
from api.http.validation import json_body
from api.network import access, faults, routers, schemas, views
from api.network.kinds import KINDS
from api.network.models import Router

Change = Callable[[Session, Context, Router, dict[str, Any]], dict[str, Any]]


def register(blueprint: Blueprint) -> None:
    """Adds `PUT /routers/<id>/<verb>`."""
    for verb, change in (
        ("add_router_interface", routers.add_interface), ("remove_router_interface", routers.remove_interface),
        ("add_extraroutes", add_extraroutes), ("remove_extraroutes", remove_extraroutes),
    ):  # fmt: skip
        blueprint.add_url_rule(f"/v2.0/routers/<id_>/{verb}", verb, _handler(verb, change), methods=["PUT"])


def _handler(verb: str, change: Change) -> Callable[[str], Response]:
    def handle(id_: str) -> Response:
        body, caller, session = json_body(), context(), write_session()
        router = access.locked(session, caller, KINDS["router"], id_)
        policy.authorize(caller, verb, KINDS["router"].target(session, router))
        return json_response(change(session, caller, router, body))

    return handle


def _routes(body: dict[str, Any]) -> list[dict[str, str]]:
    item = schemas.BODIES["router"].one(body)
    values = schemas.BODIES["router"].take(item, create=False)
    if set(values) != {"routes"}:
        raise faults.invalid("Invalid input for router. Reason: exactly the attribute 'routes' is expected.")
    routes: list[dict[str, str]] = values["routes"]
    return routes


def _view(session: Session, caller: Context, router: Router) -> dict[str, Any]:
    return {"router": views.router(router, views.extras(session, caller, Router, [router]))}


def add_extraroutes(session: Session, caller: Context, router: Router, body: dict[str, Any]) -> dict[str, Any]:
    """Adds routes to those that are there."""
    return _view(session, caller, routers.change_routes(session, caller, router, _routes(body), add=True))


def remove_extraroutes(session: Session, caller: Context, router: Router, body: dict[str, Any]) -> dict[str, Any]:
    """Takes routes away; those that are not there are no error."""
    return _view(session, caller, routers.change_routes(session, caller, router, _routes(body), add=False))
