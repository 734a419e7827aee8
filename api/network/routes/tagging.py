"""Tags of resources: `/<resources>/<id>/tags` and `/tags/<tag>`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.orm import Session

from api.http import policy
from api.http.current import context, read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import json_body
from api.network import access, tags
from api.network.kinds import KINDS, Kind


def register(blueprint: Blueprint) -> None:
    """Adds the URLs for every kind that has tags."""
    for kind in KINDS.values():
        if kind.name != "security_group_rule":
            _add(blueprint, kind, f"/v2.0/{kind.body.plural.replace('_', '-')}/<id_>/tags")


def _row(session: Session, kind: Kind, id_: str, verb: str) -> Any:
    caller = context()
    row = kind.get(session, caller, id_) if verb == "get" else access.locked(session, caller, kind, id_)
    policy.authorize(caller, f"{verb}_{kind.name}:tags", kind.target(session, row))
    return row


def _add(blueprint: Blueprint, kind: Kind, path: str) -> None:
    def index(id_: str) -> Response:
        session = read_session()
        return json_response({"tags": tags.of(session, _row(session, kind, id_, "get").id)})

    def replace(id_: str) -> Response:
        wanted, session = tags.checked(json_body().get("tags")), write_session()
        return json_response({"tags": tags.store(session, _row(session, kind, id_, "update"), wanted)})

    def clear(id_: str) -> Response:
        session = write_session()
        tags.store(session, _row(session, kind, id_, "delete"), [])
        return empty()

    def has(id_: str, tag: str) -> Response:
        session = read_session()
        tags.require(session, _row(session, kind, id_, "get"), tag)
        return empty()

    def add(id_: str, tag: str) -> Response:
        session = write_session()
        row = _row(session, kind, id_, "update")
        tags.store(session, row, list(dict.fromkeys([*tags.of(session, row.id), *tags.checked([tag])])))
        return empty(201)

    def take_away(id_: str, tag: str) -> Response:
        session = write_session()
        tags.take_away(session, _row(session, kind, id_, "delete"), tag)
        return empty()

    for method, rule, handler in (("GET", path, index), ("PUT", path, replace), ("DELETE", path, clear),
                                  ("GET", f"{path}/<tag>", has), ("PUT", f"{path}/<tag>", add),
                                  ("DELETE", f"{path}/<tag>", take_away)):  # fmt: skip
        blueprint.add_url_rule(rule, f"{handler.__name__}_tags_{kind.name}", handler, methods=[method])
