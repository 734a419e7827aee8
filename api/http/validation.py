"""JSON Schema validation of bodies and queries, with the JSON path of what is wrong.

The engine imports schemas with the services but never checks anything, so the validator and Flask are loaded on use.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import orjson

from api.http.faults import BadRequest, UnsupportedMediaType

if TYPE_CHECKING:
    import jsonschema_rs


MAX_DEPTH = 64
"""How deep a body's lists and objects may nest. No request needs ten; validators give up at some hundreds."""

_schemas: list[Schema] = []


def compile_all() -> None:
    """Compiles every schema that was made so far, for a process that is about to fork."""
    for schema in _schemas:
        schema.compile()


class Schema:
    """A compiled JSON Schema (draft 2020-12, formats checked). `secret=True` keeps values out of the messages."""

    def __init__(self, definition: dict[str, Any], *, secret: bool = False) -> None:
        self.definition = definition
        self.secret = secret
        _schemas.append(self)

    @functools.cached_property
    def _validator(self) -> jsonschema_rs.Draft202012Validator:
        import jsonschema_rs

        mask = "the value" if self.secret else None
        return jsonschema_rs.Draft202012Validator(self.definition, validate_formats=True, mask=mask)

    def compile(self) -> None:
        """Makes the validator now instead of at the first check."""
        _ = self._validator

    def check(self, instance: Any) -> Any:
        """Returns `instance` when it is valid, else raises BadRequest naming the JSON path."""
        if self._validator.is_valid(instance):
            return instance
        error = next(iter(self._validator.iter_errors(instance)))
        path = ".".join(str(part) for part in error.instance_path)
        where = f"Invalid input for field/attribute {path}. " if path else "Invalid input: "
        raise BadRequest(f"{where}{error.message[:500]}")


def json_body(schema: Schema | None = None) -> Any:
    """The request's JSON object, validated; 400 when it is no object, 415 when it says that it is something else."""
    from flask import request

    kind = request.mimetype
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(f"Unsupported Content-Type {kind}. Send application/json.")
    body = any_json_body()
    if not isinstance(body, dict):
        raise BadRequest("Malformed request body: expecting a JSON object.")
    return schema.check(body) if schema else body


def any_json_body() -> Any:
    """The request's body, whatever JSON it is, for those who check the content type; 400 when it is none."""
    from flask import request

    data = request.get_data(cache=True)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"Malformed request body: {error}") from None
    if b"\\u0000" in data and _has_nul(body):
        raise BadRequest("Malformed request body: a text has a NUL character in it.")
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise BadRequest(f"Malformed request body: it nests deeper than {MAX_DEPTH} levels.")
    return body


def _has_nul(value: Any) -> bool:
    level = [value]
    while level:
        if any("\0" in text for text in level if isinstance(text, str)):
            return True
        level = [
            inner for outer in level if isinstance(outer, dict | list)
            for inner in ([*outer, *outer.values()] if isinstance(outer, dict) else outer)
        ]  # fmt: skip
    return False


def _depth(value: Any) -> int:
    level, depth = [value], -1
    while level:
        depth += 1
        level = [
            inner for outer in level if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]  # fmt: skip
    return depth
