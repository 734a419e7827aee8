"""Queries of a host: someone waits for their answer, and the server stays as it is."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from api.compute import plans
from api.compute.actions.base import ServerAction
from api.compute.models import Server
from api.engine.actions import Failure, Outcome
from api.engine.models import Job


class Console(ServerAction):
    """compute.server.console: a query; the output is the job's result."""

    name = "compute.server.console"
    playbook = "compute/server_console.yml"
    deadline_s = 20
    doing = "Reading the console"

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return ()

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        section = {"id": server.id, "path": f"{plans.directory(server.id)}/console.log", "length": job.args["length"]}
        return {str(server.host): {"guest_console": section}}

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        """The engine keeps the output with the job, where the caller reads it."""

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        """The caller reads the reason from the job; the server is none the worse."""
