"""What compute's jobs share: the server they are about, its locks, and how results and failures are written."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import history, plans
from api.compute.models import Server
from api.compute.states import ACTIVE, BUILDING, DELETING, PAUSED, POWER_STATES, RUNNING, SHUTDOWN, STOPPED, SUSPENDED
from api.db.base import utcnow
from api.engine.actions import Action, Failure, Outcome, Plan
from api.engine.models import Job
from api.network import service as network


def server_of(session: Session, job: Job) -> Server:
    """The server that a job is about."""
    (server_id,) = [row.resource_id for row in job.resources if row.resource_type == "server"]
    server = session.scalar(select(Server).where(Server.id == server_id))
    if server is None:
        raise LookupError(f"server {server_id} is not in the database")
    return server


def explain(failure: Failure, doing: str) -> str:
    """A failure for the tenant: what failed, in which step, on which host, and what to do."""
    where = f" in step '{failure.step}'" if failure.step else ""
    where += f" on host {failure.host}" if failure.host else ""
    return f"{doing} failed{where}: {failure.message}"


class ServerAction(Action):
    """What the actions on one server share. While a server is being deleted, every other job has nothing to do."""

    doing: ClassVar[str]
    when_running: ClassVar[str] = ACTIVE
    """The vm_state of a server whose guest runs when the job is done."""
    is_harmless: ClassVar[bool] = False
    """Whether the server is as it was when the job failed; else it goes to ERROR."""

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        server = server_of(session, job)
        ports = network.server_ports(session, [server.id])[server.id]
        return network.port_locks(session, str(server.host), [port.id for port in ports]) if ports else ()

    def plan(self, session: Session, job: Job) -> Plan:
        server = server_of(session, job)
        if self.is_void(server):
            return Plan()
        return Plan(self.sections(session, job, server))

    def is_void(self, server: Server) -> bool:
        """Whether the job has lost its object."""
        return server.deleted or server.task_state == DELETING

    @abstractmethod
    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        """The request document's sections by host."""

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        server = server_of(session, job)
        if self.is_void(server):
            history.finish(session, job, "The server was deleted meanwhile.")
            return
        self.finished(session, job, server, outcome.results.get(server.id, {}))
        history.finish(session, job)

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        """Writes what the job changed; for jobs that change more than the server's power."""
        self.done(server, observed)

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        """Writes what was observed of the guest."""
        word = observed.get("power_state", "nostate")
        server.power_state = POWER_STATES.get(word, 0)
        server.vnc_port = observed.get("vnc_port")
        if server.power_state == RUNNING:
            server.launched_at = server.launched_at or utcnow()
            server.stopped_by, server.fault = None, None
            server.move(self.when_running)
        elif word in ("paused", "suspended") and self.when_running == ACTIVE:
            server.move(PAUSED if word == "paused" else SUSPENDED)
        elif word in ("shutdown", "nostate"):
            server.power_state = SHUTDOWN
            server.move(STOPPED)
        else:
            server.fail(f"{self.doing} left the guest in state {word}. Reboot it hard, or delete it.")

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        server = server_of(session, job)
        message = explain(failure, self.doing)
        history.finish(session, job, message)
        if self.is_void(server):
            return
        self.gave_up(session, job, server, message, failure)

    def gave_up(self, session: Session, job: Job, server: Server, message: str, failure: Failure) -> None:
        """Leaves the server in a defined state; for jobs that prepared more than its power."""
        self.undone(server, message, failure)

    def undone(self, server: Server, message: str, failure: Failure) -> None:
        """Leaves the server as it was when nothing happened to it, else in ERROR with the reason."""
        if self.is_harmless or (failure.kind in ("unreachable", "cancelled") and server.vm_state != BUILDING):
            server.move(server.vm_state)
            return
        server.fail(message, details_of(failure))


def details_of(failure: Failure) -> str:
    """The same for admins, part by part."""
    return f"kind: {failure.kind}\nhost: {failure.host}\nstep: {failure.step}\nmessage: {failure.message}"


def keep_state(server: Server, observed: dict[str, Any]) -> None:
    """Writes the guest's power and ends the task; what the server is stays."""
    server.power_state = POWER_STATES.get(observed.get("power_state", "nostate"), 0)
    server.vnc_port = observed.get("vnc_port")
    server.move(server.vm_state)
