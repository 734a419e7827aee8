"""Answers: JSON by orjson, empty bodies, times as the services write them (the engine too, without Flask)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from flask import Response


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    from flask import Response

    return Response(orjson.dumps(body), status, headers, mimetype="application/json")


def empty(status: int = 204, headers: dict[str, str] | None = None) -> Response:
    """An answer without a body."""
    from flask import Response

    response = Response(status=status, headers=headers)
    response.headers.pop("Content-Type", None)
    return response


def iso_seconds(time: datetime.datetime | None) -> str | None:
    """`2026-01-31T10:20:30Z`, as compute, network and image write times."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_zeros(time: datetime.datetime | None) -> str | None:
    """`2026-01-31T10:20:30.000000Z`, as identity writes times."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def iso_micro(time: datetime.datetime | None) -> str | None:
    """`2026-01-31T10:20:30.123456` without zone, as OS-SRV-USG and block storage write times."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.%f")
