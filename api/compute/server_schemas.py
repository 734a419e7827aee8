"""POST and PUT /servers: schemas by microversion, and the request they become."""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
from typing import Any

from api.compute import versions
from api.compute.schemas import (
    BOOLEAN,
    IPV4,
    IPV6,
    METADATA,
    NAME,
    POSITIVE,
    TAG,
    TEXT,
    UUID,
    closed,
    truth,
    wrapped,
)
from api.http.faults import BadRequest
from api.http.validation import Schema
from api.network.service import RequestedPort

MAX_USER_DATA = 65535
HOST = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-._]*$"}
TRUSTED_CERTIFICATES = {
    "type": ["array", "null"], "minItems": 1, "maxItems": 50, "uniqueItems": True,
    "items": {"type": "string", "minLength": 1},
}  # fmt: skip
DISK_CONFIG = {"type": "string", "enum": ["AUTO", "MANUAL"]}
ADDRESSES = {
    "accessIPv4": {"anyOf": [IPV4, {"type": "string", "maxLength": 0}]},
    "accessIPv6": {"anyOf": [IPV6, {"type": "string", "maxLength": 0}]},
}


def hostname(version: versions.Version) -> dict[str, Any]:
    """RFC 1123's names; with dots from 2.94 on."""
    label = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
    pattern = rf"^{label}(\.{label})*$" if version >= (2, 94) else f"^{label}$"
    return {"type": "string", "minLength": 1, "maxLength": 255 if version >= (2, 94) else 63, "pattern": pattern}


def _has_network_tags(version: versions.Version) -> bool:
    """Tags of interfaces were lost by mistake between 2.37 and 2.41."""
    return (2, 32) <= version <= (2, 36) or version >= (2, 42)


def _networks(version: versions.Version) -> dict[str, Any]:
    item: dict[str, Any] = {
        "fixed_ip": {"anyOf": [IPV4, IPV6]},
        "port": {"anyOf": [UUID, {"type": "null"}]},
        "uuid": UUID,
    }
    if _has_network_tags(version):
        item["tag"] = TAG
    several: dict[str, Any] = {"type": "array", "items": closed(item)}
    if version >= (2, 37):
        return {"oneOf": [several, {"type": "string", "enum": ["none", "auto"]}]}
    return several


def _block_devices(version: versions.Version) -> dict[str, Any]:
    text = {"type": ["string", "null"], "maxLength": 255}
    item: dict[str, Any] = {
        "uuid": text, "image_id": UUID, "source_type": {"enum": ["volume", "image", "snapshot", "blank"]},
        "destination_type": {"enum": ["local", "volume"]}, "guest_format": text, "device_type": text,
        "disk_bus": text, "boot_index": {"type": ["integer", "string", "null"], "pattern": "^-?[0-9]+$"},
        "volume_id": UUID, "snapshot_id": UUID, "volume_size": POSITIVE, "device_name": text,
        "delete_on_termination": BOOLEAN, "no_device": {}, "connection_info": {"type": "string"},
        "virtual_name": text,
    }  # fmt: skip
    if version == (2, 32) or version >= (2, 42):
        item["tag"] = TAG
    if version >= (2, 67):
        item["volume_type"] = text
    return {"type": "array", "items": closed(item)}


_HINTS = {
    "type": "object",
    "properties": {
        "group": UUID,
        "different_host": {"anyOf": [UUID, {"type": "array", "items": UUID}]},
        "same_host": {"anyOf": [UUID, {"type": "array", "items": UUID}]},
        "query": {"type": ["string", "object"]},
        "build_near_host_ip": {"anyOf": [IPV4, IPV6]},
        "cidr": {"type": "string", "pattern": "^/[0-9a-f.:]+$"},
    },
}


@functools.cache
def create(version: versions.Version) -> Schema:
    """POST /servers."""
    properties: dict[str, Any] = {
        "name": NAME,
        "imageRef": {"anyOf": [UUID, {"type": "string", "maxLength": 0}]},
        "flavorRef": {"type": ["string", "integer"], "minLength": 1},
        "adminPass": {"type": "string"},
        "metadata": METADATA,
        "networks": _networks(version),
        "OS-DCF:diskConfig": DISK_CONFIG,
        **ADDRESSES,
        "availability_zone": NAME,
        "block_device_mapping": {"type": "array"},
        "block_device_mapping_v2": _block_devices(version),
        "config_drive": BOOLEAN,
        "key_name": {"anyOf": [NAME, {"type": "null"}]},
        "min_count": POSITIVE,
        "max_count": POSITIVE,
        "return_reservation_id": BOOLEAN,
        "security_groups": {"type": "array", "items": closed({"name": NAME})},
        "user_data": {"type": ["string", "null"], "maxLength": MAX_USER_DATA},
    }
    if version >= versions.DESCRIPTION:
        properties["description"] = TEXT
    if version >= (2, 52):
        properties["tags"] = {"type": "array", "items": TAG, "maxItems": 50}
    if version < versions.NO_PERSONALITY:
        properties["personality"] = {"type": "array"}
    if version >= versions.TRUSTED_CERTIFICATES:
        properties["trusted_image_certificates"] = TRUSTED_CERTIFICATES
    if version >= (2, 74):
        properties |= {"host": HOST, "hypervisor_hostname": HOST}
    if version >= versions.HOSTNAME:
        properties["hostname"] = hostname(version)
    required = ("name", "flavorRef", "networks") if version >= (2, 37) else ("name", "flavorRef")
    body = closed({"server": closed(properties, required)}, ("server",))
    body["properties"] |= {"os:scheduler_hints": _HINTS, "OS-SCH-HNT:scheduler_hints": _HINTS}
    return Schema(body)


@functools.cache
def interface(version: versions.Version) -> Schema:
    """POST /servers/{id}/os-interface. No interface at all means any network."""
    addresses = {"type": "array", "minItems": 1, "maxItems": 1,
                 "items": closed({"ip_address": {"anyOf": [IPV4, IPV6]}}, ("ip_address",))}  # fmt: skip
    properties: dict[str, Any] = {"net_id": UUID, "port_id": UUID, "fixed_ips": addresses}
    if version >= (2, 49):
        properties["tag"] = TAG
    return Schema(closed({"interfaceAttachment": closed(properties)}))


@functools.cache
def update(version: versions.Version) -> Schema:
    """PUT /servers/{id}."""
    properties: dict[str, Any] = {"name": NAME, "OS-DCF:diskConfig": DISK_CONFIG, **ADDRESSES}
    if version >= versions.DESCRIPTION:
        properties["description"] = TEXT
    if version >= versions.HOSTNAME:
        properties["hostname"] = hostname(version)
    return wrapped("server", closed(properties))


def changes(server: dict[str, Any]) -> dict[str, Any]:
    """A validated update as columns."""
    names = {"name": "name", "OS-DCF:diskConfig": "disk_config", "accessIPv4": "access_ip_v4",
             "accessIPv6": "access_ip_v6", "description": "description", "hostname": "hostname"}  # fmt: skip
    found = {column: server[name] for name, column in names.items() if name in server}
    if "access_ip_v6" in found:
        found["access_ip_v6"] = canonical(found["access_ip_v6"])
    return found


def canonical(address: str) -> str:
    """An IPv6 address as RFC 5952 writes it; an empty text stays empty."""
    return str(ipaddress.IPv6Address(address)) if address else ""


def rebuild_changes(value: dict[str, Any]) -> dict[str, Any]:
    """A validated rebuild as columns."""
    if value.get("personality"):
        raise BadRequest("Personality files are not injected by this cloud. Use user_data or a config drive.")
    found = changes(value)
    for name, column in (("metadata", "meta"), ("key_name", "key_name"),
                         ("trusted_image_certificates", "trusted_certificates")):  # fmt: skip
        if name in value:
            found[column] = value[name]
    if "user_data" in value:
        found["user_data"] = _user_data(value["user_data"])
    return found


def fields(body: dict[str, Any]) -> dict[str, Any]:
    """A validated create as the fields of `create.Request` (and `availability_zone`, `host`, `hypervisor_hostname`)."""
    server = body["server"]
    if server.get("personality"):
        raise BadRequest("Personality files are not injected by this cloud. Use user_data or a config drive.")
    low, high = _counts(server)
    values: dict[str, Any] = {
        "name": server["name"],
        "flavor_id": flavor_id(server["flavorRef"]),
        "image_id": _image(server),
        "networks": _plugs(server.get("networks")),
        "count_min": low,
        "count_max": high,
        "security_groups": _groups(server),
        "key_name": server.get("key_name"),
        "metadata": server.get("metadata", {}),
        "user_data": _user_data(server.get("user_data")),
        "config_drive": truth(server.get("config_drive", False)),
        "description": server.get("description"),
        "hostname": server.get("hostname"),
        "tags": server.get("tags", []),
        "hints": body.get("os:scheduler_hints") or body.get("OS-SCH-HNT:scheduler_hints") or {},
        "access_ip_v4": server.get("accessIPv4", ""),
        "access_ip_v6": canonical(server.get("accessIPv6", "")),
        "disk_config": server.get("OS-DCF:diskConfig", "MANUAL"),
        "trusted_certificates": server.get("trusted_image_certificates"),
    }
    return values | {name: server.get(name) for name in ("availability_zone", "host", "hypervisor_hostname")}


def _counts(server: dict[str, Any]) -> tuple[int, int]:
    low = int(server.get("min_count", 1))
    high = int(server.get("max_count", low))
    if low > high:
        raise BadRequest("min_count must be <= max_count")
    return low, high


def flavor_id(reference: str | int) -> str:
    """A flavor's id; old clients send a link that ends in it."""
    return str(reference).rstrip("/").rpartition("/")[2]


def _image(server: dict[str, Any]) -> str:
    """The image to boot from. Block devices may only say the same again: volumes come with a later issue."""
    reference = str(server.get("imageRef") or "")
    if server.get("block_device_mapping"):
        raise BadRequest("Booting from a volume is not possible in this cloud yet. Boot from an image (imageRef).")
    for device in server.get("block_device_mapping_v2", []):
        from_image = device.get("source_type") == "image" and device.get("destination_type", "local") == "local"
        if not from_image or int(device.get("boot_index") or 0) != 0:
            raise BadRequest("Block devices other than the image on a local disk with boot_index 0 are not possible in "
                             "this cloud yet. Boot from an image (imageRef).")  # fmt: skip
        image_id = str(device.get("uuid") or device.get("image_id") or "")
        if reference and image_id != reference:
            raise BadRequest("Block Device Mapping is Invalid: the image differs from imageRef.")
        reference = image_id
    if not reference:
        raise BadRequest("Invalid imageRef provided.")
    return reference


def _plugs(networks: Any) -> str | list[RequestedPort] | None:
    if networks is None or isinstance(networks, str):
        return networks
    plugs = []
    for item in networks:
        port, network, address = item.get("port"), item.get("uuid"), item.get("fixed_ip")
        if port is None and network is None:
            raise BadRequest("Bad networks format: network uuid is not in proper format (None)")
        if port is not None and address is not None:
            raise BadRequest(f"Specified Fixed IP '{address}' cannot be used with port '{port}': the two cannot be "
                             "specified together.")  # fmt: skip
        plugs.append(RequestedPort(None if port else network, port, address, item.get("tag")))
    ports = [plug.port_id for plug in plugs if plug.port_id]
    if len(set(ports)) != len(ports):
        raise BadRequest("A port was specified more than once in networks.")
    return plugs


def _groups(server: dict[str, Any]) -> list[str]:
    names = [str(group["name"]) for group in server.get("security_groups", []) if "name" in group]
    return list(dict.fromkeys(names))


def _user_data(text: str | None) -> str | None:
    if not text:
        return None
    try:
        base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadRequest("Invalid input for field/attribute user_data. It is not valid base64.") from None
    return text
