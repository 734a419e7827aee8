"""The operations API on a cloud with all services, and jobs in every state."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from api.db.base import utcnow
from api.db.hosts import Host
from api.engine import actions, jobs
from api.engine.actions import Failure
from api.engine.models import QUEUED, RUNNING
from api.services import SERVICES

sys.path.insert(0, str(Path(__file__).parent))

from operation_jobs import OTHERS  # noqa: E402

STEPS = [{"name": "Make the networks and taps", "host": "compute7", "result": "failed", "started_at": "2026-01-01",
          "finished_at": "2026-01-02", "message": f"compute7 has no bridge for {OTHERS}"}]  # fmt: skip


@pytest.fixture(scope="session")
def services() -> Sequence[str]:
    return SERVICES


@pytest.fixture
def add_job(cloud: Any) -> Callable[..., str]:
    """Stores a job of the project `demo` in a state; its id."""
    with cloud.write() as session:
        session.add(Host(name="compute7", groups=["compute"]))

    def add(state: str = QUEUED, *, project_id: str | None = cloud.project_id, network_id: str = "n1",
            request_id: str = "req-1", resource_type: str = "network") -> str:  # fmt: skip
        with cloud.write() as session:
            job = actions.enqueue(
                session, "network.network.apply", resources=[(resource_type, network_id)], request_id=request_id,
                project_id=project_id, args={"network_id": network_id},
            )  # fmt: skip
            if state != QUEUED:
                jobs.move(job, RUNNING)
                job.owner, job.heartbeat_at, job.attempts, job.started_at = "control1/b/1/1", utcnow(), 1, utcnow()
                job.events_on = "control1"
            if state == "done":
                jobs.succeed(session, job, actions.Outcome())
            elif state in ("failed", "cancelled"):
                job.hosts = ["compute7"]
                jobs.add_steps(job, STEPS)
                message = f"The host compute7 could not make {OTHERS} nor {network_id}"
                kind: Any = "cancelled" if state == "cancelled" else "failed"
                jobs.fail(session, job, Failure(kind, message, "compute7", "Make the networks and taps"))
            return job.id

    return add

