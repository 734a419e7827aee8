"""What may be set on an image, by whom: attributes, properties, formats. Pure checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from api.http import policy
from api.http.context import Context
from api.http.faults import BadRequest, Forbidden, PayloadTooLarge

AMAZON_FORMATS = ("ami", "ari", "aki")
DISK_FORMATS = ("raw", "qcow2", "iso", *AMAZON_FORMATS)
CONTAINER_FORMATS = ("bare", *AMAZON_FORMATS)
"""The usual ones first: clients offer them in this order."""
VISIBILITIES = ("community", "public", "private", "shared")
MEMBER_STATUSES = ("pending", "accepted", "rejected")

ATTRIBUTES = frozenset({
    "name", "visibility", "protected", "os_hidden", "owner", "container_format", "disk_format", "min_ram", "min_disk",
})  # fmt: skip
"""What a request may set on the image itself; every other key but `id` and `tags` is a property of the owner's own."""
READ_ONLY = frozenset({
    "status", "checksum", "os_hash_algo", "os_hash_value", "size", "virtual_size", "created_at", "updated_at", "self",
    "file", "schema", "direct_url", "locations", "stores",
})  # fmt: skip
RESERVED = frozenset({"location", "deleted", "deleted_at"})
RESERVED_PREFIX = "os_glance"

MAX_PROPERTIES = 128
MAX_TAGS = 128
MAX_MEMBERS = 128

Op = Literal["add", "remove", "replace"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a PATCH: of an attribute of the image, or of a property of the owner's own."""

    op: Op
    name: str
    value: Any = None

    @property
    def is_attribute(self) -> bool:
        """Whether every image has it."""
        return self.name in ATTRIBUTES or self.name == "tags"


def split_new(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """A create request's attributes, properties and tags; 403 for keys that are not the client's."""
    for name in body:
        refuse_foreign(name)
    attributes = {name: value for name, value in body.items() if name in ATTRIBUTES or name == "id"}
    properties = {name: value for name, value in body.items() if name not in attributes and name != "tags"}
    tags = list(dict.fromkeys(body.get("tags", ())))
    if len(properties) > MAX_PROPERTIES or len(tags) > MAX_TAGS:
        raise PayloadTooLarge(f"An image has at most {MAX_PROPERTIES} properties and {MAX_TAGS} tags.")
    return attributes, properties, tags


def refuse_foreign(name: str) -> None:
    """403 for what the service itself sets or keeps for itself."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def check_new(context: Context, attributes: dict[str, Any]) -> None:
    """403 unless the caller may create such an image."""
    owner = attributes.get("owner", context.project_id)
    image = {"project_id": context.project_id or "", "owner": owner or "", "member_id": "",
             "visibility": attributes.get("visibility", "shared")}  # fmt: skip
    policy.authorize(context, "add_image", image)
    if "visibility" in attributes:
        check_visibility(context, attributes["visibility"], image)
    check_formats(attributes.get("disk_format"), attributes.get("container_format"))


def check_visibility(context: Context, visibility: str, image: dict[str, Any]) -> None:
    """403 unless the caller may give an image this visibility."""
    rule = {"public": "publicize_image", "community": "communitize_image"}.get(visibility)
    if rule:
        policy.authorize(context, rule, image)


def check_formats(disk_format: str | None, container_format: str | None) -> None:
    """400 unless the two go together: Amazon's formats are wrapped in themselves."""
    if disk_format and container_format and disk_format != container_format and (
        disk_format in AMAZON_FORMATS or container_format in AMAZON_FORMATS
    ):  # fmt: skip
        raise BadRequest(
            "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', "
            "'ari', or 'ami', the container and disk formats must match."
        )
