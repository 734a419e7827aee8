"""Lists a page at a time: `limit`, `marker`, `sort_key`, `sort_dir` as keyset paging, ids as tie-break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import request
from sqlalchemy import ColumnElement, Select, and_, false, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from api.config import settings
from api.http.faults import BadRequest

Column = InstrumentedAttribute[Any]


@dataclass(frozen=True)
class Page:
    """What part of a list is asked for. `sort` holds (key, descending) pairs; `limit` None means no limit."""

    limit: int | None
    marker: str | None
    sort: tuple[tuple[str, bool], ...]
    reverse: bool = False


def whole_number(text: str) -> int | None:
    """The whole number of at least 0 in a query's text; None when it is none.

    More than 18 digits count as 10**18: no column holds as much, and databases refuse larger numbers.
    """
    if not text.isascii() or not text.isdigit():
        return None
    return int(text) if len(text) <= 18 else 10**18


def parse_limit(maximum: int | None = None) -> int | None:
    """The query's `limit`, at most `maximum`; 400 unless it is a whole number of at least 0."""
    text = request.args.get("limit")
    if text is None or text == "":
        return maximum
    limit = whole_number(text)
    if limit is None:
        raise BadRequest(f"Invalid input for query parameter limit: {text!r} is not a whole number of at least 0.")
    return min(limit, maximum) if maximum is not None else limit


def parse_page(
    columns: Mapping[str, Column], default: Sequence[tuple[str, bool]], *, maximum: int | None = None
) -> Page:
    """The page that the query asks for, with `sort_key`/`sort_dir` repeated or `sort=key:dir,key:dir`."""
    keys = request.args.getlist("sort_key")
    directions = request.args.getlist("sort_dir")
    if compact := request.args.get("sort"):
        pairs = [part.strip().partition(":") for part in compact.split(",") if part.strip()]
        keys, directions = [pair[0] for pair in pairs], [pair[2] or "asc" for pair in pairs]
    if unknown := [key for key in keys if key not in columns]:
        raise BadRequest(f"Invalid sort key {unknown[0]!r}. Valid keys: {', '.join(sorted(columns))}.")
    if unknown := [text for text in directions if text not in ("asc", "desc")]:
        raise BadRequest(f"Invalid sort direction {unknown[0]!r}. Use asc or desc.")
    if len(directions) > len(keys) and keys:
        raise BadRequest("There are more sort directions than sort keys.")
    if keys:
        fallback = directions[-1] if len(directions) == 1 else "asc"
        padded = directions + [fallback] * (len(keys) - len(directions))
        sort = tuple((key, direction == "desc") for key, direction in zip(keys, padded, strict=True))
    else:
        flip = bool(directions) and directions[0] == "desc"
        sort = tuple((key, flip or descending) for key, descending in default)
    return Page(parse_limit(maximum), request.args.get("marker") or None, sort,
                request.args.get("page_reverse", "").lower() == "true")  # fmt: skip


def fetch(
    session: Session, query: Select[Any], page: Page, columns: Mapping[str, Column], tie_break: Column, *,
    marker_row: object | None = None, as_rows: bool = False,
) -> tuple[list[Any], bool]:  # fmt: skip
    """The rows of `page` and whether more follow. `marker_row` is the row that `page.marker` names.

    `as_rows`: the query selects columns, and rows of them are wanted; long lists cost half as much as with objects.
    """
    order = [(columns[key], descending) for key, descending in page.sort]
    order.append((tie_break, order[-1][1] if order else False))
    if page.reverse:
        order = [(column, not descending) for column, descending in order]
    if marker_row is not None:
        query = query.where(_after(order, marker_row))
    for column, descending in order:
        query = query.order_by(*(
            (column.is_(None).desc(), column.desc()) if descending else (column.is_(None), column.asc())
        ) if column.nullable else ((column.desc(),) if descending else (column.asc(),)))  # fmt: skip
    if page.limit is not None:
        query = query.limit(page.limit + 1)
    rows: list[Any] = []
    rows += session.execute(query).all() if as_rows else session.scalars(query).unique().all()
    more = page.limit is not None and len(rows) > page.limit
    rows = rows[: page.limit] if page.limit is not None else rows
    return (rows[::-1] if page.reverse else rows), more


def _after(order: list[tuple[Column, bool]], row: object) -> ColumnElement[bool]:
    """Rows behind `row` in this order; NULLs stand last when ascending, first when descending."""
    choices: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for column, descending in order:
        value = getattr(row, column.key)
        if value is None:
            behind: ColumnElement[bool] = column.is_not(None) if descending else false()
            same = column.is_(None)
        else:
            behind = column < value if descending else or_(column > value, column.is_(None))
            same = column == value
        choices.append(and_(*equal, behind))
        equal.append(same)
    return or_(*choices)


def next_link(path: str, last_id: str, limit: int | None, *, absolute: bool = True) -> str:
    """The link to the next page: this request's query with `marker` set to the last id shown."""
    pairs = [(key, value) for key, value in request.args.items(multi=True) if key not in ("marker", "limit")]
    if limit is not None:
        pairs.append(("limit", str(limit)))
    pairs.append(("marker", last_id))
    base = settings().url() if absolute else ""
    return f"{base}{path}?{urlencode(pairs)}"
