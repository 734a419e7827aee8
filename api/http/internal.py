"""Routes under `/internal`, for the cloud's own hosts: they carry no token, each handler checks a signature itself.

A room registers its handlers when its `routes` are imported; `create_app` makes one blueprint of them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from flask import Blueprint
from flask.typing import ResponseReturnValue

from api.http.current import public
from api.http.faults import image_fault
from api.http.wiring import Service

Handler = Callable[..., ResponseReturnValue]
F = TypeVar("F", bound=Handler)


@dataclass(frozen=True)
class _Route:
    rule: str
    method: str
    handler: Handler


_routes: dict[tuple[str, str], _Route] = {}


def internal(rule: str, method: str = "GET") -> Callable[[F], F]:
    """Serves `/internal<rule>` by this handler, without a token: the handler checks who asks."""

    def register(handler: F) -> F:
        public(handler)
        _routes[rule, method] = _Route(rule, method, handler)
        return handler

    return register


def internal_service() -> Service:
    """The HTTP face of all registered handlers; a new blueprint each time, since an app freezes its own."""
    blueprint = Blueprint("internal", __name__)
    for number, route in enumerate(_routes.values()):
        blueprint.add_url_rule(route.rule, f"{route.handler.__name__}_{number}", route.handler, methods=[route.method])
    return Service("internal", "internal", blueprint, image_fault)
