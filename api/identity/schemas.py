"""JSON Schemas of identity's bodies. Unknown attributes are kept where OpenStack keeps them (`extra`)."""

from __future__ import annotations

from typing import Any

from api.http.validation import Schema

_TEXT: dict[str, Any] = {"type": "string"}
_ID: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255}
_BY_ID_OR_NAME: dict[str, Any] = {
    "type": "object", "properties": {"id": _TEXT, "name": _TEXT},
    "anyOf": [{"required": ["id"]}, {"required": ["name"]}],
}  # fmt: skip
_OWNED: dict[str, Any] = {
    "type": "object",
    "properties": {"id": _TEXT, "name": _TEXT, "domain": _BY_ID_OR_NAME},
    "anyOf": [{"required": ["id"]}, {"required": ["name", "domain"]}],
}
_PASSWORD_USER: dict[str, Any] = {
    **_OWNED, "properties": {**_OWNED["properties"], "password": {"type": ["string", "null"]}}, "required": ["password"]}  # fmt: skip

AUTHENTICATE = Schema({
    "type": "object", "required": ["auth"],
    "properties": {"auth": {
        "type": "object", "required": ["identity"],
        "properties": {
            "identity": {
                "type": "object", "required": ["methods"],
                "properties": {
                    "methods": {"type": "array", "items": _TEXT, "minItems": 1},
                    "password": {"type": "object", "required": ["user"], "properties": {"user": _PASSWORD_USER}},
                    "token": {"type": "object", "required": ["id"], "properties": {"id": _TEXT}},
                    "application_credential": {
                        "type": "object", "required": ["secret"],
                        "properties": {"id": _TEXT, "name": _TEXT, "secret": _TEXT, "user": _OWNED},
                        "anyOf": [{"required": ["id"]}, {"required": ["name", "user"]}],
                    },
                },
            },
            "scope": {"anyOf": [
                {"type": "null"},
                {"const": "unscoped"},
                {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False, "properties": {
                    "project": _OWNED, "domain": _BY_ID_OR_NAME, "unscoped": {"type": "object"},
                    "system": {"type": "object", "required": ["all"], "properties": {"all": {"const": True}}},
                }},
            ]},
        },
    }},
}, secret=True)  # fmt: skip
