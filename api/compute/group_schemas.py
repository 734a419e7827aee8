"""JSON Schemas of server groups and host aggregates."""

from __future__ import annotations

import functools
from typing import Any

from api.compute import versions
from api.compute.group_models import AFFINITY, ANTI_AFFINITY, SOFT_AFFINITY, SOFT_ANTI_AFFINITY
from api.compute.schemas import NAME, POSITIVE, closed, wrapped
from api.http.validation import Schema

_ZONE = {"anyOf": [NAME | {"pattern": r"^(?!\s)[^:\p{Cc}\p{Zl}\p{Zp}]*(?<!\s)$"}, {"type": "null"}]}
_METADATA = {
    "type": "object", "additionalProperties": False,
    "patternProperties": {
        "^(?!availability_zone$)[a-zA-Z0-9-_:. ]{1,255}$": {"type": ["string", "null"], "maxLength": 255},
        "^availability_zone$": _ZONE,
    },
}  # fmt: skip
_HOST = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"}

AGGREGATE_CREATE = wrapped("aggregate", closed({"name": NAME, "availability_zone": _ZONE}, ("name",)))
AGGREGATE_UPDATE = wrapped(
    "aggregate", closed({"name": NAME, "availability_zone": _ZONE}) | {"minProperties": 1}
)
ADD_HOST = wrapped("add_host", closed({"host": _HOST}, ("host",)))
REMOVE_HOST = wrapped("remove_host", closed({"host": _HOST}, ("host",)))
SET_METADATA = wrapped("set_metadata", closed({"metadata": _METADATA}, ("metadata",)))


@functools.cache
def server_group_create(version: versions.Version) -> Schema:
    """POST /os-server-groups: soft policies from 2.15, one `policy` with rules from 2.64."""
    kinds = [ANTI_AFFINITY, AFFINITY]
    if version >= (2, 15):
        kinds += [SOFT_ANTI_AFFINITY, SOFT_AFFINITY]
    if version < versions.GROUP_POLICY:
        policies = {"type": "array", "items": {"enum": kinds}, "minItems": 1, "maxItems": 1}
        return wrapped("server_group", closed({"name": NAME, "policies": policies}, ("name", "policies")))
    properties: dict[str, Any] = {
        "name": NAME, "policy": {"enum": kinds}, "rules": closed({"max_server_per_host": POSITIVE}),
    }  # fmt: skip
    return wrapped("server_group", closed(properties, ("name", "policy")))
