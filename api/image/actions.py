"""Images have no jobs; while the engine runs, it mends what killed uploads left, once a minute."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy.orm import Session

from api.engine.actions import observe
from api.image import repair

SWEEP_EVERY_S = 60.0


class Sweeper:
    """Sweeps at a heartbeat when the last time is long enough ago."""

    def __init__(self) -> None:
        self._last = -SWEEP_EVERY_S

    def __call__(self, session: Session, _host: str, _message: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last >= SWEEP_EVERY_S:
            self._last = now
            repair.sweep(session)


observe("heartbeat", Sweeper())
