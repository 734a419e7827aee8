"""Microversion negotiation (api-sig, "Microversion Specification"). Who asks for nothing gets the minimum."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response, g, request

from api.http.faults import BadRequest, NotAcceptable, NotFound

Version = tuple[int, int]
F = TypeVar("F", bound=Callable[..., Any])
_FORM = re.compile(r"^([1-9]\d*)\.([1-9]\d*|0)$")


@dataclass(frozen=True)
class Microversions:
    """The range a service answers: `service_type` as in OpenStack-API-Version; `legacy_header` where one exists."""

    service_type: str
    minimum: Version
    maximum: Version
    legacy_header: str | None = None

    def negotiate(self) -> Version:
        """The version the request asks for; 400 when malformed, 406 outside the range."""
        asked = self._asked()
        if asked is None:
            return self.minimum
        if asked == "latest":
            return self.maximum
        if not (found := _FORM.match(asked)):
            raise BadRequest(f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum.")
        version = (int(found[1]), int(found[2]))
        if not self.minimum <= version <= self.maximum:
            raise NotAcceptable(
                f"Version {asked} is not supported by the API. Minimum is {text(self.minimum)} and maximum is "
                f"{text(self.maximum)}."
            )
        return version

    def _asked(self) -> str | None:
        for part in request.headers.get("OpenStack-API-Version", "").split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == self.service_type:
                return version.strip()
        legacy = request.headers.get(self.legacy_header) if self.legacy_header else None
        return legacy.strip() if legacy is not None else None

    def mark(self, response: Response, version: Version) -> None:
        """Sets the version headers and Vary."""
        response.headers["OpenStack-API-Version"] = f"{self.service_type} {text(version)}"
        response.vary.add("OpenStack-API-Version")
        if self.legacy_header:
            response.headers[self.legacy_header] = text(version)
            response.vary.add(self.legacy_header)


def text(version: Version) -> str:
    """(2, 96) -> "2.96"."""
    return f"{version[0]}.{version[1]}"


def microversion() -> Version:
    """The negotiated version of the current request."""
    version: Version = g.microversion
    return version


def at_least(major: int, minor: int) -> bool:
    """Whether the current request's version is at least this one."""
    return microversion() >= (major, minor)


def available(since: Version | None = None, until: Version | None = None) -> Callable[[F], F]:
    """A handler that exists only between two versions (inclusive); outside them the answer is 404."""

    def decorate(handler: F) -> F:
        @functools.wraps(handler)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if (since and microversion() < since) or (until and microversion() > until):
                raise NotFound("The resource could not be found.")
            return handler(*args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate
