"""Faults: raised anywhere in a service, rendered at the edge in that service's own OpenStack shape. Knows no Flask."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any


class Fault(Exception):
    """An answer that is an error.

    `message` is for the caller: what is wrong and what to do. `kind` is the network service's exception name where
    clients read it (`{"NeutronError": {"type": kind}}`); other services ignore it.
    """

    status = 500
    kind = ""

    def __init__(self, message: str, *, kind: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers or {}
        self.kind = kind or self.kind or type(self).__name__

    @property
    def title(self) -> str:
        """The status code's standard phrase."""
        return HTTPStatus(self.status).phrase


class BadRequest(Fault):
    status = 400


class Unauthorized(Fault):
    status = 401


class Forbidden(Fault):
    status = 403


class NotFound(Fault):
    status = 404


class MethodNotAllowed(Fault):
    status = 405


class NotAcceptable(Fault):
    status = 406


class Conflict(Fault):
    status = 409


class Gone(Fault):
    status = 410


class PayloadTooLarge(Fault):
    status = 413


class UnsupportedMediaType(Fault):
    status = 415


class RangeNotSatisfiable(Fault):
    status = 416


class TooManyRequests(Fault):
    status = 429


class InternalError(Fault):
    status = 500


class NotImplementedFault(Fault):
    status = 501


class ServiceUnavailable(Fault):
    status = 503


class GatewayTimeout(Fault):
    status = 504


def of_status(status: int, message: str, headers: dict[str, str] | None = None) -> Fault:
    """A fault with any status code."""
    for cls in Fault.__subclasses__():
        if cls.status == status:
            return cls(message, headers=headers)
    fault = Fault(message, headers=headers)
    fault.status = status
    return fault


Renderer = Callable[[Fault, str], Any]


def identity_fault(fault: Fault, request_id: str) -> dict[str, Any]:
    """Identity's shape: API reference v3, "Error responses"."""
    return {"error": {"code": fault.status, "message": fault.message, "title": fault.title}}


_COMPUTE_KEYS = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    406: "notAcceptable", 409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit",
    501: "notImplemented", 503: "serviceUnavailable",
}  # fmt: skip


def compute_fault(fault: Fault, request_id: str) -> dict[str, Any]:
    """Compute's and block storage's shape: compute API guide, "Faults"."""
    body: dict[str, Any] = {"code": fault.status, "message": fault.message}
    if fault.status in (413, 429) and "Retry-After" in fault.headers:
        body["retryAfter"] = fault.headers["Retry-After"]
    return {_COMPUTE_KEYS.get(fault.status, "computeFault"): body}


def network_fault(fault: Fault, request_id: str) -> dict[str, Any]:
    """Network's shape: API reference v2.0, "Response codes"."""
    return {"NeutronError": {"type": fault.kind, "message": fault.message, "detail": ""}}


def image_fault(fault: Fault, request_id: str) -> dict[str, Any]:
    """Image's shape, as its clients read it from JSON."""
    return {"message": fault.message, "code": f"{fault.status} {fault.title}", "title": fault.title}


def placement_fault(fault: Fault, request_id: str) -> dict[str, Any]:
    """Placement's shape: API reference, "Errors" (api-wg guideline on errors)."""
    return {
        "errors": [
            {"status": fault.status, "title": fault.title, "detail": fault.message, "request_id": request_id}
        ]
    }  # fmt: skip


def operations_fault(fault: Fault, request_id: str) -> dict[str, Any]:
    """The native operations API's shape (docs/operations.md)."""
    return {
        "error": {"code": fault.status, "title": fault.title, "message": fault.message, "request_id": request_id}
    }  # fmt: skip
