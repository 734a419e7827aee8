"""What the tests of operations share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from api.config import settings
from api.engine.models import Job

OTHERS = "11111111-2222-4333-8444-555555555555"
"""The id of something that belongs to someone else."""


def job_of(cloud: Any, id_: str) -> Job:
    """The row."""
    with cloud.read() as session:
        return session.query(Job).filter_by(id=id_).one()


def write_events(job_id: str, *events: dict[str, Any]) -> Path:
    """Appends to the job's events file."""
    folder = settings().state_dir / "jobs" / job_id
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.jsonl"
    with path.open("ab") as file:
        for event in events:
            file.write(json.dumps(event).encode() + b"\n")
    return path
