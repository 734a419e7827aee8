"""Queries of a host: someone waits for their answer, and the server stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from api.compute import passwords, plans, sealing
from api.compute.actions.base import ServerAction
from api.compute.models import Server
from api.engine.actions import Failure, Outcome
from api.engine.models import Job


class Password(ServerAction):
    """compute.server.password: by the guest's agent. The password stays with the job no longer than it runs."""

    name = "compute.server.password"
    playbook = "compute/server_password.yml"
    deadline_s = 25
    doing = "Setting the password"
    is_harmless = True

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return ()

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        section = {"id": server.id, "user": passwords.user_of(server), "password": sealing.unseal(job.args["password"])}
        return {str(server.host): {"guest_password": section}}

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        job.args = {}
        super().succeeded(session, job, outcome)

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        job.args = {}
        super().failed(session, job, failure)

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        server.move(server.vm_state)


class Query(ServerAction):
    """A question to the host: its answer is the job's result, which the caller reads."""

    interactive = True
    deadline_s = 20

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return ()

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        """The engine keeps the answer with the job."""

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        """The caller reads the reason from the job; the server is none the worse."""


class Diagnostics(Query):
    """compute.server.diagnostics."""

    name = "compute.server.diagnostics"
    playbook = "compute/server_diagnostics.yml"
    doing = "Reading the diagnostics"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return {str(server.host): {"guest_diagnostics": {"id": server.id}}}


class Console(Query):
    """compute.server.console: a query; the output is the job's result."""

    name = "compute.server.console"
    playbook = "compute/server_console.yml"
    doing = "Reading the console"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        section = {"id": server.id, "path": f"{plans.directory(server.id)}/console.log", "length": job.args["length"]}
        return {str(server.host): {"guest_console": section}}
