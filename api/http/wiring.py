"""Hangs the services into Flask: request ids, tokens, microversions, transactions, faults. The only hooks there are."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Flask, Response, g, request
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from api.config import settings
from api.http import access_rules, faults
from api.http.context import Context
from api.http.current import context, finish_read, finish_write
from api.http.faults import Fault, Renderer
from api.http.microversions import Microversions
from api.http.responses import json_response

log = logging.getLogger("stratiform.api")
_GLOBAL_ID = re.compile(r"^req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
_BUSY = ("40001", "40P01", "55P03", "57P01", "57P03")
"""PostgreSQL's serialization_failure, deadlock_detected, lock_not_available, admin_shutdown, cannot_connect_now."""
_IMAGE_DATA = re.compile(r"^/(image/v2/images/[^/]+/(file|stage)|internal/images/[^/]+)/?$")

Authenticate = Callable[[str, str, str | None], Context | None]
"""(token, request id, global request id) -> the caller, or None when the token is not valid."""


@dataclass(frozen=True)
class Service:
    """One service's HTTP face: its blueprint lives under `/<prefix>`."""

    name: str
    prefix: str
    blueprint: Blueprint
    render: Renderer
    microversions: Microversions | None = None


def install(app: Flask, services: list[Service], authenticate: Authenticate) -> None:
    """Registers the services' blueprints and the hooks around every request."""
    by_prefix = {service.prefix: service for service in services}
    for service in services:
        app.register_blueprint(service.blueprint, url_prefix=f"/{service.prefix}")

    def current_service() -> Service | None:
        return by_prefix.get(request.path.lstrip("/").partition("/")[0])

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = f"req-{uuid.uuid4()}"
        g.service = current_service()
        inbound = request.headers.get("X-OpenStack-Request-ID", "")
        global_id = inbound if _GLOBAL_ID.match(inbound) else None
        _refuse_nul()
        length = request.content_length
        if not _streams():
            request.max_content_length = settings().max_body_bytes  # holds for bodies that don't tell their length
            if length is not None and length > settings().max_body_bytes:
                message = f"The request body is too large: at most {settings().max_body_bytes} bytes."
                raise faults.PayloadTooLarge(message)
        if g.service and g.service.microversions:
            g.microversion = g.service.microversions.minimum
            g.microversion = g.service.microversions.negotiate()
        if token := request.headers.get("X-Auth-Token"):
            g.context = authenticate(token, g.request_id, global_id)
            _check_access_rules(g.service)
        if request.url_rule is not None and not _is_public(app):
            context()

    @app.after_request
    def end(response: Response) -> Response:
        try:
            finish_write(commit=response.status_code < 400)
        except Exception as error:  # noqa: BLE001 - whatever a commit meets: nothing was stored, so say so
            response = fault_response(_as_fault(error))
        service: Service | None = g.get("service")
        response.headers["x-openstack-request-id"] = g.request_id
        if service and service.name == "compute":
            response.headers["x-compute-request-id"] = g.request_id
        if service and service.microversions and "microversion" in g:
            service.microversions.mark(response, g.microversion)
        response.vary.add("X-Auth-Token")
        caller: Context | None = g.get("context")
        log.info(
            "%s %s %s -> %d in %.1f ms user=%s project=%s",
            g.request_id, request.method, request.path, response.status_code,
            (time.perf_counter() - g.started) * 1000,
            caller.user_id if caller else "-", caller.project_id if caller else "-",
        )  # fmt: skip
        return response

    @app.teardown_request
    def close(_error: BaseException | None) -> None:
        finish_write(commit=False)
        finish_read()

    def fault_response(fault: Fault) -> Response:
        service: Service | None = g.get("service")
        render = service.render if service else faults.compute_fault
        headers = dict(fault.headers)
        if fault.status == 401:
            headers["WWW-Authenticate"] = f'Keystone uri="{settings().url()}/identity"'
        return json_response(render(fault, g.request_id), fault.status, headers)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        return fault_response(_as_fault(error))


def _check_access_rules(service: Service | None) -> None:
    """401, as OpenStack answers, for a call that the token's application credential is not for."""
    caller: Context | None = g.context
    rules = caller.token.get("application_credential", {}).get("access_rules") if caller else None
    if rules is None:
        return
    name = service.name.replace("_", "-") if service else ""
    path = request.path.removeprefix(f"/{service.prefix}") if service else request.path
    if not access_rules.allow(rules, name, request.method, path):
        raise faults.Unauthorized("The application credential's access rules do not allow this request.")


def _refuse_nul() -> None:
    """PostgreSQL has no text with NUL in it, and nobody needs it."""
    if "\0" in request.path:
        raise faults.NotFound("The resource could not be found.")
    if b"%00" in request.query_string:
        raise faults.BadRequest("The query has a NUL character in it.")


def _streams() -> bool:
    """Whether the body is an image's bytes; any other path may end in "file" too (a tag, a metadata key)."""
    return request.method == "PUT" and bool(_IMAGE_DATA.match(request.path))


def _is_public(app: Flask) -> bool:
    handler = app.view_functions.get(request.endpoint or "")
    return bool(getattr(handler, "stratiform_public", False))


def _as_fault(error: Exception) -> Fault:
    if isinstance(error, Fault):
        return error
    if isinstance(error, HTTPException):
        headers = {"Allow": ", ".join(error.valid_methods or ())} if error.code == 405 and hasattr(
            error, "valid_methods") else None  # fmt: skip
        message = "The resource could not be found." if error.code == 404 else error.description or "Error"
        return faults.of_status(error.code or 500, message, headers)
    if isinstance(error, OperationalError) and (
        "locked" in str(error.orig) or getattr(error.orig, "sqlstate", None) in _BUSY
    ):
        return faults.ServiceUnavailable("The database is busy. Try again.", headers={"Retry-After": "1"})
    log.exception("%s failed: unexpected %s", g.get("request_id"), type(error).__name__)
    return faults.InternalError(
        "An unexpected error prevented the server from fulfilling your request. "
        f"The operator finds it in the API's log under {g.get('request_id')}."
    )
