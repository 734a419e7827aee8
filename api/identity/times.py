"""Times in identity's bodies."""

from __future__ import annotations

import datetime

from api.db.base import utcnow
from api.http.faults import BadRequest


def future(text: str | None, name: str = "expires_at") -> datetime.datetime | None:
    """The time that a body gives (UTC where it names no zone); 400 unless it lies ahead. None for none."""
    if text is None:
        return None
    try:
        time = datetime.datetime.fromisoformat(text)
        time = time.replace(tzinfo=time.tzinfo or datetime.UTC).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} {text[:64]!r} is no time of the form 2030-01-31T10:20:30.000000.") from None
    if time <= utcnow():
        raise BadRequest(f"{name} lies in the past.")
    return time


def iso_micro_z(time: datetime.datetime | None) -> str | None:
    """`2026-01-31T10:20:30.123456Z`, as trusts and tokens write times."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def iso_micro(time: datetime.datetime | None) -> str | None:
    """The same without zone, as users and application credentials have it."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%S.%f")
