"""Handlers of records that administrators keep: list, create, show, update, delete, each in the same few lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.db.base import Base
from api.http.current import read_session, write_session
from api.http.responses import empty, json_response
from api.http.validation import Schema, json_body
from api.identity import rows
from api.identity.routes.blueprint import blueprint
from api.identity.routes.common import authorize, listing


@dataclass(frozen=True)
class Records:
    """One kind of record: its names, the table, what may be asked for, and the functions that do the work."""

    noun: str
    plural: str
    table: type[Base]
    filters: Mapping[str, InstrumentedAttribute[Any]]
    view: Callable[[Any], dict[str, Any]]
    create: Callable[[Session, dict[str, Any]], Any]
    change: Callable[[Session, str, dict[str, Any]], Any]
    remove: Callable[[Session, str], None]
    schemas: tuple[Schema, Schema]
    path: str = ""
    """Below /v3, where it is not the plural."""
    order: str = "id"

    def serve(self) -> None:
        """Adds the five handlers to the blueprint."""
        path = f"/v3/{self.path or self.plural}"
        for method, rule, name, handler in (
            ("GET", path, f"list_{self.plural}", self._list),
            ("POST", path, f"create_{self.noun}", self._create),
            ("GET", f"{path}/<id_>", f"show_{self.noun}", self._show),
            ("PATCH", f"{path}/<id_>", f"update_{self.noun}", self._update),
            ("DELETE", f"{path}/<id_>", f"delete_{self.noun}", self._delete),
        ):
            blueprint.add_url_rule(rule, name, handler, methods=[method])

    def _list(self) -> Response:
        authorize(f"list_{self.plural}")
        return listing(self.plural, self.path or self.plural, select(self.table), self.filters,
                       lambda _, found: [self.view(row) for row in found], order=self.order)  # fmt: skip

    def _create(self) -> Response:
        given = json_body(self.schemas[0])[self.noun]
        authorize(f"create_{self.noun}")
        return json_response({self.noun: self.view(self.create(write_session(), given))}, 201)

    def _show(self, id_: str) -> Response:
        authorize(f"get_{self.noun}")
        found = rows.get(read_session(), self.table, id_, self.noun.replace("_", " "))
        return json_response({self.noun: self.view(found)})

    def _update(self, id_: str) -> Response:
        given = json_body(self.schemas[1])[self.noun]
        authorize(f"update_{self.noun}")
        return json_response({self.noun: self.view(self.change(write_session(), id_, given))})

    def _delete(self, id_: str) -> Response:
        authorize(f"delete_{self.noun}")
        self.remove(write_session(), id_)
        return empty()
