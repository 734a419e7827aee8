"""JSON Schemas of the bodies of POST /servers/{id}/action, by microversion where they differ."""

from __future__ import annotations

import functools
from typing import Any

from api.compute import server_schemas, versions
from api.compute.schemas import ANYTHING, BOOLEAN, METADATA, NAME, TEXT, UUID, WHOLE, closed, wrapped
from api.compute.server_schemas import ADDRESSES, DISK_CONFIG, HOST, MAX_USER_DATA
from api.http.validation import Schema

_PASSWORD = {"type": "string", "maxLength": 255}
_HOST_OR_NULL = {"anyOf": [HOST, {"type": "null"}]}
_ADDRESS = {"type": "string", "minLength": 1, "maxLength": 45}


def _optional(name: str, inner: dict[str, Any]) -> Schema:
    return wrapped(name, {"anyOf": [{"type": "null"}, inner]})


RESCUE = _optional("rescue", closed({"adminPass": _PASSWORD, "rescue_image_ref": UUID}))
CREATE_IMAGE = wrapped("createImage", closed({"name": NAME, "metadata": METADATA}, ("name",)))
CREATE_BACKUP = wrapped("createBackup", closed(
    {"name": NAME, "backup_type": {"type": "string", "maxLength": 255}, "rotation": WHOLE, "metadata": METADATA},
    ("name", "backup_type", "rotation"),
))  # fmt: skip
CHANGE_PASSWORD = wrapped("changePassword", closed({"adminPass": _PASSWORD}, ("adminPass",)))
RESIZE = wrapped("resize", closed(
    {"flavorRef": {"type": ["string", "integer"], "minLength": 1}, "OS-DCF:diskConfig": DISK_CONFIG}, ("flavorRef",)
))  # fmt: skip
RESET_STATE = wrapped("os-resetState", closed({"state": {"enum": ["active", "error"]}}, ("state",)))
ADD_GROUP = wrapped("addSecurityGroup", {"type": "object", "properties": {"name": NAME}, "required": ["name"]})
REMOVE_GROUP = wrapped("removeSecurityGroup", {"type": "object", "properties": {"name": NAME}, "required": ["name"]})
ADD_FLOATING_IP = wrapped("addFloatingIp", closed({"address": _ADDRESS, "fixed_address": _ADDRESS}, ("address",)))
REMOVE_FLOATING_IP = wrapped("removeFloatingIp", closed({"address": _ADDRESS}, ("address",)))


@functools.cache
def rebuild(version: versions.Version) -> Schema:
    """rebuild: description from 2.19, key 2.54, user data 2.57, certificates 2.63, host name 2.90."""
    properties: dict[str, Any] = {
        "name": NAME, "imageRef": UUID, "adminPass": _PASSWORD, "metadata": METADATA, "preserve_ephemeral": BOOLEAN,
        "OS-DCF:diskConfig": DISK_CONFIG, **ADDRESSES,
    }  # fmt: skip
    if version >= versions.DESCRIPTION:
        properties["description"] = TEXT
    if version >= (2, 54):
        properties["key_name"] = {"anyOf": [NAME, {"type": "null"}]}
    if version < versions.NO_PERSONALITY:
        properties["personality"] = {"type": "array"}
    else:
        properties["user_data"] = {"type": ["string", "null"], "maxLength": MAX_USER_DATA}
    if version >= versions.TRUSTED_CERTIFICATES:
        properties["trusted_image_certificates"] = server_schemas.TRUSTED_CERTIFICATES
    if version >= versions.HOSTNAME:
        properties["hostname"] = server_schemas.hostname(version)
    return wrapped("rebuild", closed(properties, ("imageRef",)))


@functools.cache
def unshelve(version: versions.Version) -> Schema:
    """unshelve: into a zone from 2.77, out of its zone and onto a host from 2.91."""
    if version < (2, 77):
        return ANYTHING
    if version < (2, 91):
        return _optional("unshelve", closed({"availability_zone": NAME}, ("availability_zone",)))
    zone = {"anyOf": [NAME, {"type": "null"}]}
    return _optional("unshelve", closed({"availability_zone": zone, "host": HOST}))


@functools.cache
def migrate(version: versions.Version) -> Schema:
    """migrate: to a host from 2.56."""
    return ANYTHING if version < (2, 56) else _optional("migrate", closed({"host": _HOST_OR_NULL}))


@functools.cache
def migrate_live(version: versions.Version) -> Schema:
    """os-migrateLive: `auto` from 2.25, force between 2.30 and 2.67."""
    properties: dict[str, Any] = {"block_migration": BOOLEAN, "host": _HOST_OR_NULL}
    if version < (2, 25):
        properties["disk_over_commit"] = BOOLEAN
    else:
        properties["block_migration"] = {"enum": [*BOOLEAN["enum"], "auto"]}
    required = tuple(properties)
    if (2, 30) <= version < (2, 68):
        properties["force"] = BOOLEAN
    return wrapped("os-migrateLive", closed(properties, required))


@functools.cache
def evacuate(version: versions.Version) -> Schema:
    """evacuate: shared storage is said until 2.13, force between 2.29 and 2.67."""
    properties: dict[str, Any] = {"host": HOST, "adminPass": _PASSWORD}
    if version < (2, 14):
        properties["onSharedStorage"] = BOOLEAN
    if (2, 29) <= version < (2, 68):
        properties["force"] = BOOLEAN
    return wrapped("evacuate", closed(properties, ("onSharedStorage",) if version < (2, 14) else ()))
