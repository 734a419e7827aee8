"""Placement's fault codes (API reference, "Errors"), which clients read from microversion 1.23 on."""

from __future__ import annotations

from api.http.faults import BadRequest, Conflict

UNDEFINED = "placement.undefined_code"
CONCURRENT_UPDATE = "placement.concurrent_update"
DUPLICATE_NAME = "placement.duplicate_name"
INVENTORY_IN_USE = "placement.inventory.inuse"
PROVIDER_IN_USE = "placement.resource_provider.inuse"
HAS_CHILDREN = "placement.resource_provider.cannot_delete_parent"
PROVIDER_NOT_FOUND = "placement.resource_provider.not_found"
BAD_VALUE = "placement.query.bad_value"
MISSING_VALUE = "placement.query.missing_value"
DUPLICATE_KEY = "placement.query.duplicate_key"


def conflict(message: str, code: str = UNDEFINED) -> Conflict:
    """409 with a code."""
    return Conflict(message, kind=code)


def bad_query(message: str, code: str = BAD_VALUE) -> BadRequest:
    """400 for a query, with a code."""
    return BadRequest(message, kind=code)


class NoCapacity(Conflict):
    """A claim does not fit. Amounts are in the resource class's unit; `free` counts the allocation ratio in."""

    def __init__(self, host: str, resource_class: str, wanted: int, free: int, why: str = "") -> None:
        sentence = why or f"{host} has {free} {resource_class} free, {wanted} wanted"
        super().__init__(f"Unable to allocate inventory: {sentence}.", kind=UNDEFINED)
        self.host, self.resource_class, self.wanted, self.free = host, resource_class, wanted, free
