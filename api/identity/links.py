"""URLs of identity's resources, as answers carry them: from the configured public URL, never from the Host header."""

from __future__ import annotations

from urllib.parse import quote

from api.config import settings

PATH = "/identity/v3"


def link(*parts: str) -> str:
    """The public URL of something below /identity/v3."""
    return "/".join((settings().url() + PATH, *(quote(part, safe=":") for part in parts)))
