"""JSON Schemas of metadata definitions: requests, and the documents that clients read under /v2/schemas/metadefs."""

from __future__ import annotations

from typing import Any

from api.http.validation import Schema

_NAME: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 80, "pattern": "^[^/]*[^/ ][^/]*$"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_TYPE: dict[str, Any] = {"enum": ["array", "boolean", "integer", "number", "object", "string", None]}
_TIMES: dict[str, Any] = {
    "created_at": {"type": "string", "format": "date-time", "readOnly": True},
    "updated_at": {"type": "string", "format": "date-time", "readOnly": True},
}
_SELF: dict[str, Any] = {"self": {"type": "string", "readOnly": True}, "schema": {"type": "string", "readOnly": True}}
_PROPERTY: dict[str, Any] = {
    "type": "object", "required": ["title", "type"], "additionalProperties": False,
    "properties": {
        "name": _NAME, "title": {"type": "string", "maxLength": 255}, "description": {"type": "string"},
        "operators": {"type": "array", "items": {"type": "string"}}, "type": _TYPE, "required": _TEXTS,
        "minimum": {"type": "number"}, "maximum": {"type": "number"}, "maxLength": _COUNT, "minLength": _COUNT,
        "pattern": {"type": "string"}, "enum": {"type": "array"}, "readonly": {"type": "boolean"}, "default": {},
        "items": {"type": "object", "properties": {"type": _TYPE, "enum": {"type": "array"}}},
        "maxItems": _COUNT, "minItems": _COUNT, "uniqueItems": {"type": "boolean"},
        "additionalItems": {"type": "boolean"},
    },
}  # fmt: skip
_OBJECT: dict[str, Any] = {
    "type": "object", "required": ["name"], "additionalProperties": False,
    "properties": {
        "name": _NAME, "description": {"type": ["string", "null"]}, "required": _TEXTS,
        "properties": {"type": "object", "additionalProperties": _PROPERTY}, **_TIMES, **_SELF,
    },
}  # fmt: skip
_NEW_PROPERTY: dict[str, Any] = {**_PROPERTY, "required": ["name", "title", "type"]}
_TAG: dict[str, Any] = {
    "type": "object", "required": ["name"], "additionalProperties": False, "properties": {"name": _NAME, **_TIMES},
}  # fmt: skip
_TYPE_LINK: dict[str, Any] = {
    "type": "object", "required": ["name"], "additionalProperties": False,
    "properties": {
        "name": _NAME, "prefix": {"type": ["string", "null"], "maxLength": 80},
        "properties_target": {"type": ["string", "null"], "maxLength": 80}, **_TIMES,
    },
}  # fmt: skip
_NAMESPACE: dict[str, Any] = {
    "type": "object", "required": ["namespace"], "additionalProperties": False,
    "properties": {
        "namespace": _NAME, "display_name": {"type": ["string", "null"], "maxLength": 80},
        "description": {"type": ["string", "null"], "maxLength": 500}, "visibility": {"enum": ["public", "private"]},
        "protected": {"type": "boolean"}, "owner": {"type": ["string", "null"], "maxLength": 255},
        **_TIMES, **_SELF,
        "resource_type_associations": {"type": "array", "items": _TYPE_LINK, "maxItems": 100},
        "properties": {"type": "object", "additionalProperties": _PROPERTY, "maxProperties": 1000},
        "objects": {"type": "array", "items": _OBJECT, "maxItems": 1000},
        "tags": {"type": "array", "items": _TAG, "maxItems": 1000},
    },
}  # fmt: skip

NAMESPACE = Schema(_NAMESPACE)
OBJECT = Schema(_OBJECT)
PROPERTY = Schema(_NEW_PROPERTY)
TAG = Schema(_TAG)
TAGS = Schema({
    "type": "object", "required": ["tags"], "properties": {"tags": {"type": "array", "items": _TAG, "maxItems": 1000}},
})  # fmt: skip
TYPE_LINK = Schema(_TYPE_LINK)
NAME = Schema(_NAME)


def _document(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, **{key: value for key, value in schema.items() if key != "type"}}


def _collection(name: str, item: dict[str, Any], *, by_name: bool = False) -> dict[str, Any]:
    inner = {"type": "object", "additionalProperties": item} if by_name else {"type": "array", "items": item}
    text = {"type": "string"}
    return {
        "name": name, "properties": {name: inner, "first": text, "next": text, "schema": text},
        "links": [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"},
                  {"rel": "describedby", "href": "{schema}"}],
    }  # fmt: skip


DOCUMENTS = {
    "metadefs/namespace": _document("namespace", _NAMESPACE),
    "metadefs/namespaces": _collection("namespaces", _document("namespace", _NAMESPACE)),
    "metadefs/object": _document("object", _OBJECT),
    "metadefs/objects": _collection("objects", _document("object", _OBJECT)),
    "metadefs/property": _document("property", _NEW_PROPERTY),
    "metadefs/properties": _collection("properties", _document("property", _PROPERTY), by_name=True),
    "metadefs/tag": _document("tag", _TAG),
    "metadefs/tags": _collection("tags", _document("tag", _TAG)),
    "metadefs/resource_type": _document("resource_type_association", _TYPE_LINK),
    "metadefs/resource_types": _collection(
        "resource_type_associations", _document("resource_type_association", _TYPE_LINK)
    ),
}
