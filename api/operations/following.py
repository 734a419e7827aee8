"""Who follows which operation: the streams that are open, and how many a project may have."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from api.config import settings
from api.http.faults import ServiceUnavailable, TooManyRequests
from api.operations.views import Veil


@dataclass
class Followed:
    """One client's place in the events of one operation. `veil` is None for operators."""

    job_id: str
    project_id: str
    offset: int
    veil: Veil | None


class Registry:
    """Counts the streams of this process. Requests are admitted in threads, streams end in the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._open.total()

    def admit(self, followed: Followed) -> None:
        """Takes a place; TooManyRequests when the project has all of its own, 503 when there are none at all."""
        limits = settings().operations
        with self._lock:
            if self._open[followed.project_id] >= limits.streams_per_project:
                raise TooManyRequests(
                    f"The project has {limits.streams_per_project} event streams open, which is the limit. Close one.",
                    headers={"Retry-After": "10"},
                )
            if self._open.total() >= limits.streams:
                raise ServiceUnavailable("Too many event streams are open. Try again.", headers={"Retry-After": "10"})
            self._open[followed.project_id] += 1

    def release(self, followed: Followed) -> None:
        """Gives the place back."""
        with self._lock:
            self._open[followed.project_id] -= 1
            if self._open[followed.project_id] <= 0:
                del self._open[followed.project_id]


REGISTRY = Registry()
"""The streams of this process."""
