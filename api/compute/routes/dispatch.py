"""POST /servers/{id}/action: the name in the body chooses the handler. Handlers register themselves here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from api.compute import lifecycle
from api.compute.models import Server
from api.compute.routes.base import V2, blueprint
from api.compute.versions import Version
from api.http.current import context, write_session
from api.http.faults import BadRequest, NotFound
from api.http.microversions import microversion
from api.http.responses import empty
from api.http.validation import Schema, json_body

Handler = Callable[[str, dict[str, Any]], Response]
"""(server id, the whole body)"""
ServerHandler = Callable[[Session, Server, Any], Response | None]
"""(write session, the server, what the body says under the action's name); None is answered as 202."""
SchemaOf = Schema | Callable[[Version], Schema]


@dataclass(frozen=True)
class _Registered:
    handler: Handler
    since: Version | None
    until: Version | None


_actions: dict[str, _Registered] = {}


def raw_action(name: str, since: Version | None = None, until: Version | None = None) -> Callable[[Handler], Handler]:
    """Registers a handler that does everything itself, for instance because it must not hold a transaction."""

    def register(handler: Handler) -> Handler:
        _actions[name] = _Registered(handler, since, until)
        return handler

    return register


def server_action(
    name: str, rule: str, schema: SchemaOf | None = None, since: Version | None = None, until: Version | None = None
) -> Callable[[ServerHandler], ServerHandler]:
    """Registers a handler of a server that the caller may change by `os_compute_api:<rule>`.

    `schema` is of the whole body, or makes one for a microversion. Outside `since`..`until` the answer is 404.
    """

    def register(handler: ServerHandler) -> ServerHandler:
        def run(server_id: str, body: dict[str, Any]) -> Response:
            if schema is not None:
                (schema if isinstance(schema, Schema) else schema(microversion())).check(body)
            session = write_session()
            server = lifecycle.for_change(session, context(), server_id, f"os_compute_api:{rule}")
            return handler(session, server, body[name]) or empty(202)

        _actions[name] = _Registered(run, since, until)
        return handler

    return register


@blueprint.post(f"{V2}/servers/<server_id>/action")
def act(server_id: str) -> Response:
    body = json_body()
    if len(body) != 1:
        raise BadRequest("Name exactly one action in the request body.")
    (name,) = body
    if name not in _actions:
        raise BadRequest(f"There is no such action: {name[:100]}")
    found, version = _actions[name], microversion()
    if (found.since and version < found.since) or (found.until and version > found.until):
        raise NotFound("The resource could not be found.")
    return found.handler(server_id, body)
