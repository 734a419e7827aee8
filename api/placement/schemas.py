"""Bodies that placement understands, by microversion (API reference, "Placement")."""

from __future__ import annotations

from typing import Any

from api.http.microversions import Version
from api.http.validation import Schema

MAX_INT = 2147483647
UUID: dict[str, Any] = {"type": "string", "format": "uuid"}
GENERATION: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MAX_INT}
CLASS_NAME = "^[A-Z0-9_]{1,255}$"
CUSTOM_NAME: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^CUSTOM_[A-Z0-9_]+$"}
CONSUMER_TYPE: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Z0-9_]+$"}
_PERSON: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 255}


def _object(properties: dict[str, Any], required: list[str], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def _map(key: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "patternProperties": {key: value}, "additionalProperties": False, **more}


_HEX = "[0-9a-fA-F]"
_UUID_KEY = f"^{_HEX}{{8}}-({_HEX}{{4}}-){{3}}{_HEX}{{12}}$"

_PROVIDER = {"name": {"type": "string", "minLength": 1, "maxLength": 200}}
_PARENT = {"parent_provider_uuid": {"anyOf": [UUID, {"type": "null"}]}}
CREATE_PROVIDER = Schema(_object(_PROVIDER | {"uuid": UUID}, ["name"]))
CREATE_PROVIDER_IN_TREE = Schema(_object(_PROVIDER | {"uuid": UUID} | _PARENT, ["name"]))
UPDATE_PROVIDER = Schema(_object(_PROVIDER, ["name"]))
UPDATE_PROVIDER_IN_TREE = Schema(_object(_PROVIDER | _PARENT, ["name"]))

_POSITIVE = {"type": "integer", "minimum": 1, "maximum": MAX_INT}
_INVENTORY = {
    "total": _POSITIVE,
    "reserved": {"type": "integer", "minimum": 0, "maximum": MAX_INT},
    "min_unit": _POSITIVE,
    "max_unit": _POSITIVE,
    "step_size": _POSITIVE,
    "allocation_ratio": {"type": "number", "minimum": 0, "maximum": 3.40282e38},
}
_INVENTORIES = _map(CLASS_NAME, _object(_INVENTORY, ["total"]))
INVENTORIES = Schema(
    _object({"resource_provider_generation": GENERATION, "inventories": _INVENTORIES},
            ["resource_provider_generation", "inventories"])
)  # fmt: skip
_ONE = _INVENTORY | {"resource_provider_generation": GENERATION}
NEW_INVENTORY = Schema(
    _object(_ONE | {"resource_class": {"type": "string", "pattern": CLASS_NAME}}, ["resource_class", "total"])
)
INVENTORY = Schema(_object(_ONE, ["resource_provider_generation", "total"]))

_AGGREGATES = {"type": "array", "items": UUID, "uniqueItems": True}
AGGREGATES_ALONE = Schema(_AGGREGATES)
AGGREGATES = Schema(
    _object({"aggregates": _AGGREGATES, "resource_provider_generation": GENERATION},
            ["aggregates", "resource_provider_generation"])
)  # fmt: skip

TRAITS = Schema(
    _object({"traits": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255,
                                                   "pattern": "^[A-Z0-9_]+$"}, "uniqueItems": True},
             "resource_provider_generation": GENERATION}, ["traits", "resource_provider_generation"])
)  # fmt: skip
CUSTOM = Schema(CUSTOM_NAME)
RESOURCE_CLASS = Schema(_object({"name": CUSTOM_NAME}, ["name"]))

_RESOURCES = _map(CLASS_NAME, _POSITIVE, minProperties=1)
_LIST = {
    "type": "array", "minItems": 1,
    "items": _object({"resource_provider": _object({"uuid": UUID}, ["uuid"]), "resources": _RESOURCES},
                     ["resource_provider", "resources"]),
}  # fmt: skip
_OF_PROVIDER = _object({"resources": _RESOURCES, "generation": {"type": "integer"}}, ["resources"])
_MAPPINGS = _map("^[a-zA-Z0-9_-]{0,64}$", {"type": "array", "minItems": 1, "items": UUID}, minProperties=1)


def _allocations(version: Version, *, many: bool) -> dict[str, Any]:
    """The form of one consumer's allocations. `many`: as one of several in a request, where none at all is allowed."""
    if version < (1, 12) and not many:
        properties: dict[str, Any] = {"allocations": _LIST}
        if version < (1, 8):
            return _object(properties, ["allocations"])
        return _object(
            properties | {"project_id": _PERSON, "user_id": _PERSON}, ["allocations", "project_id", "user_id"]
        )
    least = {} if many or version >= (1, 28) else {"minProperties": 1}
    of_provider = _OF_PROVIDER if not many else _object({"resources": _RESOURCES}, ["resources"])
    properties = {"allocations": _map(_UUID_KEY, of_provider, **least), "project_id": _PERSON, "user_id": _PERSON}
    required = ["allocations", "project_id", "user_id"]
    if version >= (1, 28):
        properties["consumer_generation"] = {"anyOf": [GENERATION, {"type": "null"}]}
        required.append("consumer_generation")
    if version >= (1, 34):
        properties["mappings"] = _MAPPINGS
    if version >= (1, 38):
        properties["consumer_type"] = CONSUMER_TYPE
        required.append("consumer_type")
    return _object(properties, required)


_STEPS: tuple[Version, ...] = ((1, 0), (1, 8), (1, 12), (1, 28), (1, 34), (1, 38))
_ALLOCATIONS = {step: Schema(_allocations(step, many=False)) for step in _STEPS}
_CONSUMERS = {
    step: Schema(_map(_UUID_KEY, _allocations(step, many=True), minProperties=1)) for step in _STEPS[2:]
}  # fmt: skip


def _reshape(version: Version) -> Schema:
    inventories = _object({"resource_provider_generation": GENERATION, "inventories": _INVENTORIES},
                          ["resource_provider_generation", "inventories"])  # fmt: skip
    return Schema(
        _object(
            {"inventories": _map(_UUID_KEY, inventories, minProperties=1),
             "allocations": _map(_UUID_KEY, _allocations(version, many=True))},
            ["inventories", "allocations"],
        )
    )  # fmt: skip


_RESHAPES = {step: _reshape(step) for step in _STEPS[3:]}


def _newest(steps: dict[Version, Schema], version: Version) -> Schema:
    return steps[max(step for step in steps if step <= version)]


def allocations(version: Version) -> Schema:
    """PUT /allocations/{consumer}."""
    return _newest(_ALLOCATIONS, version)


def consumers(version: Version) -> Schema:
    """POST /allocations (from 1.13 on)."""
    return _newest(_CONSUMERS, version)


def reshape(version: Version) -> Schema:
    """POST /reshaper (from 1.30 on)."""
    return _newest(_RESHAPES, version)


_USAGES = {"project_id": _PERSON, "user_id": _PERSON}
USAGES = Schema(_object(_USAGES, ["project_id"]))
USAGES_BY_TYPE = Schema(
    _object(_USAGES | {"consumer_type": CONSUMER_TYPE | {"pattern": "^([A-Z0-9_]+|all|unknown)$"}}, ["project_id"])
)
LIST_TRAITS = Schema(
    _object({"name": {"type": "string", "pattern": "^(in:|startswith:).+$"},
             "associated": {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}}, [])
)  # fmt: skip
