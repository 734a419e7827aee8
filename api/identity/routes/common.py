"""What identity's handlers share: rights, and lists with filters and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flask import Response, request
from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.config import settings
from api.db.base import Base
from api.http import policy
from api.http.current import context, read_session
from api.http.faults import NotFound
from api.http.paging import fetch, next_link, parse_page
from api.http.responses import json_response
from api.identity import rows

T = TypeVar("T", bound=Base)
Column = InstrumentedAttribute[Any]
_TRUE = ("", "1", "true", "yes", "on")


def authorize(rule: str, **target: Any) -> None:
    """403 unless policy lets the caller do `identity:<rule>`; `user__id` stands for `target.user.id`.

    The rules' plain `user_id` is given as `owner`. What is None is left out, for it would equal the domain that a
    project's token has not; only the domain of a role may be none.
    """
    flat = {
        f"target.{name.replace('__', '.')}": value
        for name, value in target.items()
        if name != "owner" and (value is not None or name == "role__domain_id")
    }
    if "owner" in target:
        flat["user_id"] = target["owner"]
    policy.authorize(context(), f"identity:{rule}", flat)


def visible(rule: str, table: type[T], id_: str, noun: str, target: Callable[[T], dict[str, Any]]) -> T:
    """The row, if policy lets the caller do `rule` to it. Who may not gets 403 whether it is there or not."""
    row = read_session().get(table, id_)
    authorize(rule, **(target(row) if row is not None else {}))
    return row if row is not None else rows.get(read_session(), table, id_, noun)


def flag(name: str) -> bool:
    """Whether the query says yes to `name` (`?effective`, `?effective=true`)."""
    value = request.args.get(name)
    return value is not None and value.lower() in _TRUE


def scope_domain() -> str | None:
    """The domain that the caller's token is scoped to: its lists show no other one's."""
    return context().domain_id


def home_domain() -> str | None:
    """The domain that a body means that names none: the token's, its project's, or for the system the default one."""
    caller = context()
    return caller.domain_id or caller.project_domain_id or "default"


def filtered(query: Select[Any], columns: Mapping[str, Column]) -> Select[Any]:
    """Adds the query string's filters: `name=`, `name__contains=`, `enabled=`, ... Others are not looked at."""
    for key, value in request.args.items():
        name, _, comparison = key.partition("__")
        if name in columns:
            condition = _condition(columns[name], comparison, value)
            query = query if condition is None else query.where(condition)
    return query


def _condition(column: Column, comparison: str, value: str) -> ColumnElement[bool] | None:
    if not comparison:
        if column.type.python_type is bool:
            return column.is_(value.lower() in _TRUE)
        return column == value
    exact: dict[str, Callable[..., ColumnElement[bool]]] = {
        "contains": column.contains, "startswith": column.startswith, "endswith": column.endswith,
        "icontains": column.icontains, "istartswith": column.istartswith, "iendswith": column.iendswith,
    }  # fmt: skip
    return exact[comparison](value, autoescape=True) if comparison in exact else None


def listing(
    plural: str, path: str, query: Select[Any], columns: Mapping[str, Column],
    view: Callable[[Session, Sequence[Any]], list[dict[str, Any]]], *, order: str = "name",
) -> Response:  # fmt: skip
    """A list with filters, paging (`limit`, `marker`) and links; `truncated` when more rows follow."""
    session = read_session()
    table: Any = columns["id"].class_
    sortable = {name: column for name, column in columns.items() if name in (order, "id")}
    page = parse_page(sortable, ((order, False),))
    marker = session.get(table, page.marker) if page.marker else None
    if page.marker and marker is None:
        raise NotFound(f"Could not find the marker {page.marker}: give the id of an element of this list.")
    found, more = fetch(session, filtered(query, columns), page, sortable, columns["id"], marker_row=marker)
    links: dict[str, str | None] = {"self": self_link(path), "next": None, "previous": None}
    body: dict[str, Any] = {plural: view(session, found), "links": links}
    if more and found:
        links["next"] = next_link(f"/identity/v3/{path}", found[-1].id, page.limit)
        body["truncated"] = True
    return json_response(body)


def plain_list(plural: str, path: str, shown: list[dict[str, Any]], **more: Any) -> Response:
    """A list without pages."""
    return json_response({plural: shown, "links": {"self": self_link(path), "next": None, "previous": None}, **more})


def self_link(path: str) -> str:
    """The link of this list as it was asked for."""
    query = request.query_string.decode("ascii", "replace")
    return f"{settings().url()}/identity/v3/{path}" + (f"?{query}" if query else "")
