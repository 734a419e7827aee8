"""Queries that placement's first form understands."""

from __future__ import annotations

from api.http.validation import Schema

PROVIDERS = Schema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "uuid": {"type": "string", "format": "uuid"},
            "member_of": {"type": "string"},
            "in_tree": {"type": "string", "format": "uuid"},
            "resources": {"type": "string", "pattern": r"^[A-Z0-9_]+:[1-9]\d*(,[A-Z0-9_]+:[1-9]\d*)*$"},
            "required": {"type": "string"},
        },
        "additionalProperties": False,
    }
)
