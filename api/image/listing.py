"""GET /v2/images: filters, sorting and paging, as the query asks (API reference v2, "List images")."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import request
from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from api.http.context import Context
from api.http.faults import BadRequest, NotFound
from api.http.paging import Page, fetch, next_link, parse_limit
from api.image.models import Image, ImageProperty, ImageTag
from api.image.rules import MEMBER_STATUSES, VISIBILITIES
from api.image.views import image_view
from api.image.visibility import is_member, may_see, visible_image

DEFAULT_LIMIT, MAX_LIMIT = 25, 1000
SORT_KEYS: dict[str, InstrumentedAttribute[Any]] = {
    "name": Image.name, "status": Image.status, "container_format": Image.container_format,
    "disk_format": Image.disk_format, "size": Image.size, "id": Image.id, "created_at": Image.created_at,
    "updated_at": Image.updated_at, "min_disk": Image.min_disk, "min_ram": Image.min_ram,
}  # fmt: skip
_PAGING = {"limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "tag", "visibility", "os_hidden"}
_CHOICES: dict[str, InstrumentedAttribute[Any]] = {
    "name": Image.name, "id": Image.id, "status": Image.status, "container_format": Image.container_format,
    "disk_format": Image.disk_format,
}  # fmt: skip
_EQUAL: dict[str, InstrumentedAttribute[Any]] = {
    "owner": Image.owner, "checksum": Image.checksum, "os_hash_algo": Image.os_hash_algo,
    "os_hash_value": Image.os_hash_value,
}  # fmt: skip
_NUMBERS: dict[str, InstrumentedAttribute[Any]] = {
    "size": Image.size, "min_ram": Image.min_ram, "min_disk": Image.min_disk, "virtual_size": Image.virtual_size,
}  # fmt: skip
_TIMES: dict[str, InstrumentedAttribute[Any]] = {"created_at": Image.created_at, "updated_at": Image.updated_at}
_COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")


def list_images(session: Session, context: Context) -> dict[str, Any]:
    """The page of images that this request asks for, with the links to its first and next page."""
    limit = parse_limit(MAX_LIMIT) if request.args.get("limit") else DEFAULT_LIMIT
    page = Page(limit, request.args.get("marker") or None, _sorting())
    query = _filtered(context).options(selectinload(Image.tags), selectinload(Image.properties))
    marker = _marker(session, context, page.marker)
    images, more = fetch(session, query, page, SORT_KEYS, Image.id, marker_row=marker)
    body: dict[str, Any] = {
        "images": [image_view(image) for image in images], "first": _first(), "schema": "/v2/schemas/images",
    }  # fmt: skip
    if more and images:
        asked = page.limit if request.args.get("limit") else None
        body["next"] = next_link("/v2/images", images[-1].id, asked, absolute=False)
    return body


def _first() -> str:
    pairs = [(key, value) for key, value in request.args.items(multi=True) if key != "marker"]
    return f"/v2/images?{urlencode(pairs)}" if pairs else "/v2/images"


def _marker(session: Session, context: Context, marker: str | None) -> Image | None:
    if marker is None:
        return None
    try:
        return visible_image(session, context, marker)
    except NotFound:
        raise BadRequest(f"Marker {marker} could not be found. Begin again without a marker.") from None


def _sorting() -> tuple[tuple[str, bool], ...]:
    """(key, descending) pairs; descending, unless the query says otherwise."""
    keys, directions = request.args.getlist("sort_key"), request.args.getlist("sort_dir")
    if compact := request.args.get("sort"):
        if keys or directions:
            raise BadRequest("Old and new sorting syntax cannot be combined")
        pairs = [part.partition(":") for part in compact.split(",")]
        keys, directions = [pair[0].strip() for pair in pairs], [pair[2].strip() or "desc" for pair in pairs]
    if unknown := [key for key in keys if key not in SORT_KEYS]:
        raise BadRequest(f"Invalid sort key: {unknown[0]}. It must be one of the following: {', '.join(SORT_KEYS)}.")
    if unknown := [direction for direction in directions if direction not in ("asc", "desc")]:
        raise BadRequest(f"Invalid sort direction: {unknown[0]}")
    keys = keys or ["created_at"]
    if len(directions) > 1 and len(directions) != len(keys):
        raise BadRequest("Number of sort dirs does not match the number of sort keys")
    directions = directions * len(keys) if len(directions) == 1 else directions or ["desc"] * len(keys)
    return tuple((key, direction == "desc") for key, direction in zip(keys, directions, strict=True))


def _filtered(context: Context) -> Select[Any]:
    query = select(Image).where(*_seen(context))
    for tag in request.args.getlist("tag"):
        query = query.where(exists().where(ImageTag.image_id == Image.id, ImageTag.value == tag.strip()))
    for name, value in request.args.items():
        if name not in _PAGING:
            query = query.where(_condition(name, value))
    return query


def _seen(context: Context) -> list[ColumnElement[bool]]:
    """What the caller may see, and of that the visibility asked for; others' community images only when asked for."""
    status = request.args.get("member_status", "accepted")
    if status not in (*MEMBER_STATUSES, "all"):
        raise BadRequest(f"Invalid status: {status}")
    statuses = () if status == "all" else (status,)
    conditions = [may_see(context, *statuses), Image.os_hidden == _boolean(request.args.get("os_hidden", "false"))]
    visibility = request.args.get("visibility")
    if visibility not in (None, "all", *VISIBILITIES):
        raise BadRequest(f"Invalid visibility value: {visibility}")
    if visibility is None:
        conditions.append(or_(Image.visibility != "community", Image.owner == context.project_id))
    elif visibility != "all":
        conditions.append(Image.visibility == visibility)
    if "member_status" in request.args and context.project_id and visibility == "shared" and not context.is_admin:
        conditions.append(or_(Image.owner == context.project_id, is_member(context.project_id, *statuses)))
    return conditions


def _condition(name: str, value: str) -> ColumnElement[bool]:
    if name in _CHOICES:
        return _choice(_CHOICES[name], value)
    if name in _EQUAL:
        return _EQUAL[name] == value
    if name in _TIMES:
        return _compare_time(name, value)
    if name == "protected":
        return Image.protected == _boolean(value)
    if name == "changes-since":
        raise BadRequest('The "changes-since" filter is no longer available on v2.')
    base, _, bound = name.rpartition("_")
    if base in _NUMBERS and bound in ("min", "max"):
        return _NUMBERS[base] >= _number(value) if bound == "min" else _NUMBERS[base] <= _number(value)
    if name in _NUMBERS:
        return _NUMBERS[name] == _number(value)
    return exists().where(
        ImageProperty.image_id == Image.id, ImageProperty.name == name, ImageProperty.value == value
    )  # fmt: skip


def _choice(column: InstrumentedAttribute[Any], value: str) -> ColumnElement[bool]:
    """`in:a,"b,c"`, `eq:a`, or the value itself, which may have colons (`debian:12` is a name)."""
    if value.startswith("in:"):
        try:
            (choices,) = csv.reader([value[3:]], escapechar="\\", strict=True)
        except csv.Error:
            raise BadRequest(f"Invalid filter value {value}. A quote is not closed, or inside a value.") from None
        except ValueError:
            raise BadRequest(f"Invalid filter value {value}: there is nothing to choose from.") from None
        return column.in_(choices)
    return column == value.removeprefix("eq:")


def _compare_time(name: str, value: str) -> ColumnElement[bool]:
    comparison, _, text = value.partition(":")
    if comparison not in _COMPARISONS:
        comparison, text = "eq", value
    try:
        time = datetime.datetime.fromisoformat(text.strip().replace(" ", "+"))  # a plus sign that nobody encoded
    except ValueError:
        raise BadRequest(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.') from None
    second = (time if time.tzinfo else time.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    return _within_second(_TIMES[name], comparison, second.replace(microsecond=0))


def _within_second(
    column: InstrumentedAttribute[Any], comparison: str, second: datetime.datetime
) -> ColumnElement[bool]:
    """Compares as clients see times: in whole seconds, while the database keeps microseconds."""
    after = second + datetime.timedelta(seconds=1)
    conditions: Mapping[str, ColumnElement[bool]] = {
        "gt": column >= after, "gte": column >= second, "lt": column < second, "lte": column < after,
        "eq": (column >= second) & (column < after), "neq": (column < second) | (column >= after),
    }  # fmt: skip
    return conditions[comparison]


def _boolean(value: str) -> bool:
    lowered = value.strip().lower()
    if lowered not in ("true", "false", "1", "0"):
        raise BadRequest(f"{value!r} is neither true nor false.")
    return lowered in ("true", "1")


def _number(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise BadRequest("Unable to filter on a range with a non-numeric value.")
    return int(value)
