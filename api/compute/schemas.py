"""JSON Schemas of compute's requests but for servers, each for the microversions it holds."""

from __future__ import annotations

import functools
from typing import Any

from api.compute import versions
from api.http.validation import Schema

NAME = {
    "type": "string", "minLength": 1, "maxLength": 255,
    "pattern": r"^(?!\s)[^\p{Cc}\p{Zl}\p{Zp}]*(?<!\s)$",
}  # fmt: skip
"""Printable, no white space at either end: Nova's format `name`, emoji included."""
TEXT = {"type": ["string", "null"], "maxLength": 255, "pattern": r"^[^\p{Cc}\p{Zl}\p{Zp}]*$"}
"""A description: printable, one line."""
BOOLEAN = {
    "enum": [True, False, "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t",
             "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f"],
}  # fmt: skip
WHOLE = {"type": ["integer", "string"], "pattern": "^[0-9]+$", "minimum": 0, "maximum": 0x7FFFFFFF}
POSITIVE = {"type": ["integer", "string"], "pattern": "^[0-9]*[1-9][0-9]*$", "minimum": 1, "maximum": 0x7FFFFFFF}
UUID = {"type": "string", "format": "uuid"}
IPV4 = {"type": "string", "format": "ipv4"}
IPV6 = {"type": "string", "format": "ipv6"}
METADATA = {
    "type": "object", "additionalProperties": False,
    "patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": {"type": "string", "maxLength": 255}},
}  # fmt: skip
TAG = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[^,/]*$"}
EXTRA_SPECS = {
    "type": "object", "additionalProperties": False, "minProperties": 1,
    "patternProperties": {
        "^[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "number"], "minLength": 0, "maxLength": 255},
    },
}  # fmt: skip


def closed(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def wrapped(name: str, inner: dict[str, Any]) -> Schema:
    """A body with one key."""
    return Schema(closed({name: inner}, (name,)))


def truth(value: Any) -> bool:
    """The meaning of a BOOLEAN."""
    return str(value).lower() in ("true", "1", "on", "yes", "y", "t")


@functools.cache
def flavor_create(version: versions.Version) -> Schema:
    """POST /flavors."""
    properties: dict[str, Any] = {
        "name": NAME,
        "id": {"type": ["string", "number", "null"], "minLength": 0, "maxLength": 255,
               "pattern": r"^(?! )[a-zA-Z0-9. _-]*(?<! )$"},
        "ram": POSITIVE, "vcpus": POSITIVE, "disk": WHOLE, "OS-FLV-EXT-DATA:ephemeral": WHOLE, "swap": WHOLE,
        "rxtx_factor": {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?$", "exclusiveMinimum": 0,
                        "maximum": 3.40282e38},
        "os-flavor-access:is_public": BOOLEAN,
    }  # fmt: skip
    if version >= versions.FLAVOR_DESCRIPTION:
        properties["description"] = TEXT | {"maxLength": 65535}
    return wrapped("flavor", closed(properties, ("name", "ram", "vcpus", "disk")))


FLAVOR_UPDATE = wrapped("flavor", closed({"description": TEXT | {"maxLength": 65535}}, ("description",)))
FLAVOR_EXTRA_SPECS = wrapped("extra_specs", EXTRA_SPECS)
FLAVOR_EXTRA_SPEC = Schema(EXTRA_SPECS | {"maxProperties": 1})
_TENANT = closed({"tenant": {"type": "string", "minLength": 1, "maxLength": 255}}, ("tenant",))
ADD_ACCESS = Schema(closed({"addTenantAccess": _TENANT}, ("addTenantAccess",)))
REMOVE_ACCESS = Schema(closed({"removeTenantAccess": _TENANT}, ("removeTenantAccess",)))

_OLD_KEY_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^(?! )[a-zA-Z0-9 _-]+(?<! )$"}
_NEW_KEY_NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^(?! )[a-zA-Z0-9 _.@-]+(?<! )$"}


@functools.cache
def keypair_create(version: versions.Version) -> Schema:
    """POST /os-keypairs: types from 2.2, others' keys from 2.10, no generated ones from 2.92."""
    properties: dict[str, Any] = {
        "name": _NEW_KEY_NAME if version >= (2, 92) else _OLD_KEY_NAME,
        "public_key": {"type": "string", "maxLength": 65535},
    }
    if version >= (2, 2):
        properties["type"] = {"type": "string", "enum": ["ssh", "x509"]}
    if version >= (2, 10):
        properties["user_id"] = {"type": "string", "minLength": 1, "maxLength": 255}
    return wrapped("keypair", closed(properties, ("name", "public_key") if version >= (2, 92) else ("name",)))


_LIMIT = {"type": ["integer", "string"], "pattern": "^-?[0-9]+$", "minimum": -1, "maximum": 0x7FFFFFFF}


@functools.cache
def quota_update(names: tuple[str, ...]) -> Schema:
    """PUT /os-quota-sets/{id}."""
    properties: dict[str, Any] = dict.fromkeys(names, _LIMIT)
    return wrapped("quota_set", closed(properties | {"tenant_id": {"type": "string"}, "force": BOOLEAN}))


_HOST = {"type": "string", "minLength": 1, "maxLength": 255}
SERVICE_OLD = Schema(closed({"host": _HOST, "binary": _HOST}, ("host", "binary")))
SERVICE_DISABLE_REASON = Schema(
    closed({"host": _HOST, "binary": _HOST, "disabled_reason": TEXT | {"type": "string", "minLength": 1}},
           ("host", "binary", "disabled_reason"))
)  # fmt: skip
SERVICE_FORCE_DOWN = Schema(
    closed({"host": _HOST, "binary": _HOST, "forced_down": BOOLEAN}, ("host", "binary", "forced_down"))
)
SERVICE_UPDATE = Schema(
    closed({
        "status": {"type": "string", "enum": ["enabled", "disabled"]},
        "disabled_reason": TEXT | {"type": "string", "minLength": 1}, "forced_down": BOOLEAN,
    })
)  # fmt: skip

SERVER_METADATA = wrapped("metadata", METADATA)
SERVER_METADATA_ITEM = wrapped("meta", METADATA | {"minProperties": 1, "maxProperties": 1})
SERVER_TAGS = wrapped("tags", {"type": "array", "items": TAG, "maxItems": 50})
TAG_NAME = Schema(TAG)

REBOOT = wrapped("reboot", closed({"type": {"enum": ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]}}, ("type",)))
CONSOLE = wrapped(
    "os-getConsoleOutput",
    {"type": ["object", "null"],
     "properties": {"length": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$", "minimum": -1}}},
)  # fmt: skip
LOCK = Schema({
    "type": "object", "required": ["lock"], "additionalProperties": False,
    "properties": {"lock": {"type": ["object", "null"], "additionalProperties": False, "properties": {
        "locked_reason": TEXT | {"type": "string", "minLength": 1}}}},
})  # fmt: skip
ANYTHING = Schema({"type": "object"})
"""For actions whose value clients fill as they like: `null`, `{}`, text."""
