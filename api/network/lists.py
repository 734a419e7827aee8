"""Lists as Neutron answers them: filters on any attribute, `fields`, sorting, paging with links, tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import request
from sqlalchemy import Boolean, ColumnElement, DateTime, Integer, and_, false, not_, or_, select
from sqlalchemy.orm import Session

from api.config import settings
from api.http import paging
from api.http.context import Context
from api.network import faults, groups, ports, views
from api.network.kinds import ADMIN_COLUMNS, KINDS, Kind, in_group
from api.network.models import Port, PortIp, Tag

_PAGING = {"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"}
_TAGS = {"tags", "tags-any", "not-tags", "not-tags-any"}
_TRUE, _FALSE = {"true", "1", "t", "yes"}, {"false", "0", "f", "no"}


def page(session: Session, context: Context, kind: Kind) -> dict[str, Any]:
    """The body of a list."""
    columns = kind.columns if context.is_admin else {
        name: column for name, column in kind.columns.items() if name not in ADMIN_COLUMNS}  # fmt: skip
    query = kind.seen_by(context)
    conditions = [_condition(kind, columns, name, values) for name, values in request.args.lists()
                  if name not in _PAGING]  # fmt: skip
    wanted = paging.parse_page(columns, [("id", False)])
    limit = wanted.limit or None
    wanted = paging.Page(limit, wanted.marker, wanted.sort, wanted.reverse)
    marker_row = kind.get(session, context, wanted.marker) if wanted.marker else None
    rows, more = paging.fetch(session, query.where(*conditions), wanted, columns, kind.table.id, marker_row=marker_row)
    found = views.extras(session, context, kind.table, rows)
    body: dict[str, Any] = {kind.body.plural: [fields(kind.view(row, found)) for row in rows]}
    if links := _links(kind, rows, wanted, more):
        body[f"{kind.body.plural}_links"] = links
    return body


def fields(view: views.View) -> views.View:
    """Only the attributes that the query asks for."""
    wanted = set(request.args.getlist("fields")) - {""}
    return {key: value for key, value in view.items() if key in wanted} if wanted else view


def _condition(kind: Kind, columns: Mapping[str, Any], name: str, values: Sequence[str]) -> ColumnElement[bool]:
    if name in _TAGS:
        return _tagged(kind, name, [tag for text in values for tag in text.split(",")])
    if kind.name == "port" and name == "fixed_ips":
        return _fixed_ips(values)
    if kind.name == "port" and name in ("security_groups", "security_group_id"):
        return in_group(list(values))
    if name not in columns:
        raise faults.invalid(f"['{name}'] is invalid attribute for filtering")
    column = columns[name]
    texts = [value for value in values if value not in ("", "None", "null")]
    matches: list[ColumnElement[bool]] = []
    if len(texts) < len(values):
        matches.append(column.is_(None) if column.nullable else column == "")
    if texts:
        matches.append(column.in_([_typed(name, column, value) for value in texts]))
    return or_(*matches) if matches else false()


def _typed(name: str, column: Any, text: str) -> Any:
    if isinstance(column.type, Boolean):
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise faults.invalid(f"Invalid input for {name}. Reason: '{text}' cannot be converted to boolean.")
    if isinstance(column.type, Integer):
        if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 18:
            return int(text)
        raise faults.invalid(f"Invalid input for {name}. Reason: '{text}' is not an integer.")
    if isinstance(getattr(column.type, "impl", column.type), DateTime):
        raise faults.invalid(f"['{name}'] is invalid attribute for filtering")
    return text


def _fixed_ips(values: Sequence[str]) -> ColumnElement[bool]:
    wanted: dict[str, list[str]] = {}
    for text in values:
        key, value = ports.fixed_ip_filter(text)
        wanted.setdefault(key, []).append(value)
    conditions: list[ColumnElement[bool]] = []
    if "ip_address" in wanted:
        conditions.append(PortIp.address.in_(wanted["ip_address"]))
    if "subnet_id" in wanted:
        conditions.append(PortIp.subnet_id.in_(wanted["subnet_id"]))
    if "ip_address_substr" in wanted:
        conditions.append(or_(*(PortIp.address.contains(text, autoescape=True)
                                for text in wanted["ip_address_substr"])))  # fmt: skip
    return Port.id.in_(select(PortIp.port_id).where(*conditions))


def _tagged(kind: Kind, name: str, tags: list[str]) -> ColumnElement[bool]:
    def has(tag: str) -> ColumnElement[bool]:
        return kind.table.id.in_(select(Tag.resource_id).where(Tag.tag == tag))  # type: ignore[no-any-return]

    each = [has(tag) for tag in tags]
    found = or_(*each) if name.endswith("any") else and_(*each)
    return not_(found) if name.startswith("not") else found


def _links(kind: Kind, rows: list[Any], wanted: paging.Page, more: bool) -> list[dict[str, str]]:
    if wanted.limit is None or not rows:
        return []
    forward = not wanted.reverse and more or wanted.reverse and wanted.marker is not None
    backward = wanted.reverse and more or not wanted.reverse and wanted.marker is not None
    path = f"/network/v2.0/{kind.body.plural.replace('_', '-')}"
    links = []
    if forward:
        links.append({"rel": "next", "href": _link(path, rows[-1].id, wanted.limit, reverse=False)})
    if backward:
        links.append({"rel": "previous", "href": _link(path, rows[0].id, wanted.limit, reverse=True)})
    return links


def _link(path: str, marker: str, limit: int, *, reverse: bool) -> str:
    pairs = [(key, value) for key, value in request.args.items(multi=True)
             if key not in ("marker", "limit", "page_reverse")]  # fmt: skip
    pairs += [("limit", str(limit)), ("marker", marker)] + ([("page_reverse", "True")] if reverse else [])
    return f"{settings().url()}{path}?{urlencode(pairs)}"


def needs_default_group(session: Session, context: Context, kind: Kind) -> bool:
    """Whether listing these must first make the project's default group."""
    concerned = kind in (KINDS["security_group"], KINDS["security_group_rule"])
    return concerned and bool(context.project_id) and groups.default_id(session, context.project_id or "") is None
