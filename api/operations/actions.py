"""The operations API has no jobs of its own; the engine goes on with purges of projects at the hosts' heartbeats."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.orm import Session

from api.engine.actions import observe
from api.operations import purging

PASS_EVERY_S = 3.0


class Purger:
    """Makes a pass at a heartbeat when the last one is long enough ago."""

    def __init__(self) -> None:
        self._last = -PASS_EVERY_S

    def __call__(self, session: Session, _host: str, _message: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last >= PASS_EVERY_S:
            self._last = now
            purging.go_on_with_all(session)


observe("heartbeat", Purger())
