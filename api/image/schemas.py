"""JSON Schemas of image's requests, and the schema documents that clients read under /v2/schemas."""

from __future__ import annotations

from typing import Any

from api.http.validation import Schema
from api.image.rules import CONTAINER_FORMATS, DISK_FORMATS, MEMBER_STATUSES, VISIBILITIES

UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
MAX_INTEGER = 2**31 - 1

_READ_ONLY: dict[str, Any] = {
    "status": {"type": "string", "description": "Where the image is in its life",
               "enum": ["queued", "saving", "uploading", "importing", "active", "deactivated"]},
    "checksum": {"type": ["null", "string"], "description": "MD5 of the bytes", "maxLength": 32},
    "os_hash_algo": {"type": ["null", "string"], "description": "Algorithm of os_hash_value", "maxLength": 64},
    "os_hash_value": {"type": ["null", "string"], "description": "Hash of the bytes, hexadecimal", "maxLength": 128},
    "size": {"type": ["null", "integer"], "description": "Bytes to download"},
    "virtual_size": {"type": ["null", "integer"], "description": "Bytes of the disk that a guest sees"},
    "created_at": {"type": "string", "description": "When the image was registered"},
    "updated_at": {"type": "string", "description": "When the image was last changed"},
    "self": {"type": "string", "description": "The image's URL below the endpoint"},
    "file": {"type": "string", "description": "The URL of its bytes below the endpoint"},
    "schema": {"type": "string", "description": "The URL of this schema below the endpoint"},
    "stores": {"type": "string", "description": "The stores that have the bytes, separated by commas"},
}  # fmt: skip
_WRITABLE: dict[str, Any] = {
    "id": {"type": "string", "description": "Identifier of the image", "pattern": UUID},
    "name": {"type": ["null", "string"], "description": "Name for people", "maxLength": 255},
    "visibility": {"type": "string", "description": "Who sees the image", "enum": list(VISIBILITIES)},
    "protected": {"type": "boolean", "description": "Whether deleting is refused"},
    "os_hidden": {"type": "boolean", "description": "Whether lists leave the image out"},
    "owner": {"type": ["null", "string"], "description": "Id of the project that owns it", "maxLength": 255},
    "container_format": {"type": ["null", "string"], "description": "What the bytes are wrapped in",
                         "enum": [None, *CONTAINER_FORMATS]},
    "disk_format": {"type": ["null", "string"], "description": "What the bytes are", "enum": [None, *DISK_FORMATS]},
    "min_ram": {"type": "integer", "description": "MiB of memory that a server needs", "minimum": 0,
                "maximum": MAX_INTEGER},
    "min_disk": {"type": "integer", "description": "GiB of disk that a server needs", "minimum": 0,
                 "maximum": MAX_INTEGER},
    "tags": {"type": "array", "description": "Words to find it by", "items": {"type": "string", "maxLength": 255}},
}  # fmt: skip
IMAGE = Schema({
    "type": "object",
    "properties": _WRITABLE,
    "propertyNames": {"minLength": 1, "maxLength": 255},
    "additionalProperties": {"type": "string"},
})  # fmt: skip
TAG = Schema({"type": "string", "minLength": 1, "maxLength": 255})
MEMBER_CREATE = Schema({
    "type": "object", "required": ["member"],
    "properties": {"member": {"type": "string", "minLength": 1, "maxLength": 255}},
})  # fmt: skip
MEMBER_UPDATE = Schema({
    "type": "object", "required": ["status"], "properties": {"status": {"enum": list(MEMBER_STATUSES)}},
})  # fmt: skip

IMPORT = Schema({
    "type": "object", "required": ["method"], "additionalProperties": False,
    "properties": {
        "method": {
            "type": "object", "required": ["name"],
            "properties": {"name": {"type": "string"}, "uri": {"type": "string", "maxLength": 2048}},
        },
        "stores": {"type": "array", "minItems": 1, "maxItems": 64, "items": {"type": "string"}},
        "all_stores": {"type": "boolean"}, "all_stores_must_succeed": {"type": "boolean"},
    },
})  # fmt: skip
TASK_CREATE = Schema({
    "type": "object", "required": ["type", "input"],
    "properties": {
        "type": {"enum": ["import"]},
        "input": {
            "type": "object", "required": ["import_from", "import_from_format", "image_properties"],
            "properties": {
                "import_from": {"type": "string", "maxLength": 2048},
                "import_from_format": {"enum": list(DISK_FORMATS)}, "image_properties": {"type": "object"},
            },
        },
    },
})  # fmt: skip

_LINKS = [{"rel": "self", "href": "{self}"}, {"rel": "enclosure", "href": "{file}"},
          {"rel": "describedby", "href": "{schema}"}]  # fmt: skip
_COLLECTION_LINKS = [{"rel": "first", "href": "{first}"}, {"rel": "next", "href": "{next}"},
                     {"rel": "describedby", "href": "{schema}"}]  # fmt: skip
_IMAGE_DOCUMENT: dict[str, Any] = {
    "name": "image",
    "properties": _WRITABLE | {name: {**text, "readOnly": True} for name, text in _READ_ONLY.items()},
    "additionalProperties": {"type": "string"},
    "links": _LINKS,
}
_MEMBER_DOCUMENT: dict[str, Any] = {
    "name": "member",
    "properties": {
        "image_id": {"type": "string", "description": "Identifier of the image", "pattern": UUID},
        "member_id": {"type": "string", "description": "Id of the project it is shared with"},
        "status": {"type": "string", "description": "That project's answer", "enum": list(MEMBER_STATUSES)},
        "created_at": {"type": "string", "description": "When the image was shared"},
        "updated_at": {"type": "string", "description": "When the answer last changed"},
        "schema": {"type": "string", "readOnly": True},
    },
}


def _collection(name: str, item: dict[str, Any], links: list[dict[str, str]]) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": "array", "items": item}, "schema": {"type": "string"}}
    properties |= {"first": {"type": "string"}, "next": {"type": "string"}} if name in ("images", "tasks") else {}
    return {"name": name, "properties": properties, "links": links}


_TASK_DOCUMENT: dict[str, Any] = {
    "name": "task",
    "properties": {
        **{name: {"type": "string"} for name in ("id", "type", "status", "owner", "self", "schema")},
        **{name: {"type": ["null", "string"]} for name in (
            "message", "expires_at", "created_at", "updated_at", "image_id", "request_id", "user_id")},
        "input": {"type": ["null", "object"]}, "result": {"type": ["null", "object"]},
    },
}  # fmt: skip
DOCUMENTS = {
    "image": _IMAGE_DOCUMENT,
    "images": _collection("images", _IMAGE_DOCUMENT, _COLLECTION_LINKS),
    "member": _MEMBER_DOCUMENT,
    "members": _collection("members", _MEMBER_DOCUMENT, _COLLECTION_LINKS[2:]),
    "task": _TASK_DOCUMENT,
    "tasks": _collection("tasks", _TASK_DOCUMENT, _COLLECTION_LINKS),
}
