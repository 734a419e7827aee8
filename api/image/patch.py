"""The body of a PATCH: JSON Patch as Glance takes it (API reference v2, "Update image"; RFC 6901 for pointers)."""

from __future__ import annotations

import re
from typing import Any

from api.http.faults import BadRequest, Forbidden
from api.image.rules import Change, Op, refuse_foreign
from api.image.schemas import IMAGE

OPS: tuple[Op, ...] = ("add", "remove", "replace")
MEDIA_TYPES = {
    "application/openstack-images-v2.0-json-patch": 4,
    "application/openstack-images-v2.1-json-patch": 10,
}
"""PATCH's media types and the draft of JSON Patch that each one means."""


def parse_patch(body: Any, media_type: str) -> list[Change]:
    """The changes that a PATCH asks for, each valid by itself; 400 and 403 as Glance answers."""
    if not isinstance(body, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    return [_parse_change(raw, MEDIA_TYPES[media_type]) for raw in body]


def _parse_change(raw: Any, draft: int) -> Change:
    if not isinstance(raw, dict):
        raise BadRequest("Operations must be JSON objects.")
    op, pointer = _parse_draft_10(raw) if draft == 10 else _parse_draft_4(raw)
    name = _parse_pointer(pointer)
    refuse_foreign(name)
    if name == "id":
        raise Forbidden("Attribute 'id' is read-only.")
    if op == "remove":
        return Change(op, name)
    if "value" not in raw:
        raise BadRequest(f'Operation "{op}" requires a member named "value".')
    IMAGE.check({name: raw["value"]})
    return Change(op, name, raw["value"])


def _parse_draft_10(raw: dict[str, Any]) -> tuple[Op, Any]:
    for op in OPS:
        if raw.get("op") == op:
            if "path" not in raw:
                raise BadRequest("Unable to find 'path' in JSON Schema change")
            return op, raw["path"]
    raise BadRequest(f"Invalid operation: `{raw.get('op')}`. It must be one of the following: {', '.join(OPS)}.")


def _parse_draft_4(raw: dict[str, Any]) -> tuple[Op, Any]:
    found = [op for op in OPS if op in raw]
    if len(found) != 1:
        raise BadRequest('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    return found[0], raw[found[0]]


def _parse_pointer(pointer: Any) -> str:
    """The attribute's name from a JSON pointer (RFC 6901) of depth one."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise BadRequest(f'Pointer `{pointer}` does not start with "/".')
    name = pointer[1:]
    if re.search(r"~(?![01])", name):
        raise BadRequest(f'Pointer `{pointer}` contains "~" not part of a recognized escape sequence.')
    if not name.strip() or "/" in name:
        raise BadRequest(f"Invalid JSON pointer for this resource: '{pointer}'")
    return name.replace("~1", "/").replace("~0", "~").strip()
