"""Placement has no jobs; it hears what hosts report of their capacity."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.engine.actions import observe
from api.placement import service


def capacity_reported(session: Session, host: str, message: dict[str, Any]) -> None:
    """A worker's snapshot or heartbeat: its facts become the host's inventories."""
    service.sync_host(session, host, message.get("host") or {})


observe("snapshot", capacity_reported)
observe("heartbeat", capacity_reported)
