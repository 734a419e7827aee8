"""Whether a token that is confined to some calls (access rules of an application credential) may make this one.

Source: OpenStack identity API reference, "Application Credentials", and keystonemiddleware's rules for paths.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

_PIECE = re.compile(r"\*\*|\*|\{[^/{}]*\}")


def allow(rules: Iterable[Mapping[str, str]], service_type: str, method: str, path: str) -> bool:
    """Whether one of the rules names this call; `path` is that below the service's root. HEAD counts as GET."""
    method = "GET" if method == "HEAD" else method
    return any(
        rule["service"] == service_type and rule["method"] == method and _pattern(rule["path"]).fullmatch(path)
        for rule in rules
    )


@functools.lru_cache(maxsize=1024)
def _pattern(path: str) -> re.Pattern[str]:
    """`*` and `{name}` stand for one part of a path, `**` for any number."""
    text, at = "", 0
    for found in _PIECE.finditer(path):
        text += re.escape(path[at : found.start()]) + (".*" if found[0] == "**" else "[^/]+")
        at = found.end()
    return re.compile(text + re.escape(path[at:]))
