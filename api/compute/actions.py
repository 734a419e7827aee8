"""Compute's jobs: which playbook, which request document, and what the result changes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import history, lifecycle, plans
from api.compute.models import (
    ACTIVE,
    BUILDING,
    BY_USER,
    DELETING,
    POWER_STATES,
    RUNNING,
    SHUTDOWN,
    STOPPED,
    Server,
)
from api.db.base import utcnow
from api.engine.actions import Action, Failure, Outcome, Plan, register
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
        self.done(server, outcome.results.get(server.id, {}))
        history.finish(session, job)

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        """Writes what was observed of the guest."""
        word = observed.get("power_state", "nostate")
        server.power_state = POWER_STATES.get(word, 0)
        server.vnc_port = observed.get("vnc_port")
        if server.power_state == RUNNING:
            server.launched_at = server.launched_at or utcnow()
            server.stopped_by, server.fault = None, None
            server.move(ACTIVE)
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
        self.undone(server, message, failure)

    def undone(self, server: Server, message: str, failure: Failure) -> None:
        """Leaves the server as it was when its host was never reached, else in ERROR with the reason."""
        if failure.kind in ("unreachable", "cancelled") and server.vm_state != BUILDING:
            server.move(server.vm_state)
            return
        server.fail(message, details_of(failure))


def details_of(failure: Failure) -> str:
    """The same for admins, part by part."""
    return f"kind: {failure.kind}\nhost: {failure.host}\nstep: {failure.step}\nmessage: {failure.message}"


class Create(ServerAction):
    """compute.server.create: disk, config drive, wire and guest."""

    name = "compute.server.create"
    playbook = "compute/server_create.yml"
    deadline_s = 900
    doing = "Build of the server"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.merge(plans.disks(session, server), plans.present(session, server, "running"))

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        super().done(server, observed)
        if server.vm_state == STOPPED:
            server.fail("Build of the server failed: the guest was powered off right after its start. Look at its "
                        "console log, then delete it.")  # fmt: skip


class Start(ServerAction):
    """compute.server.start. The wire too: the host may have restarted since the guest ran."""

    name = "compute.server.start"
    playbook = "compute/server_start.yml"
    doing = "Start of the server"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.present(session, server, "running")


class Stop(ServerAction):
    """compute.server.stop: the guest is asked first."""

    name = "compute.server.stop"
    playbook = "compute/server_stop.yml"
    doing = "Stop of the server"

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return ()

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.powered(server, "shutdown", shutdown_timeout_s=plans.SHUTDOWN_TIMEOUT_S)

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        super().done(server, observed)
        if server.vm_state == STOPPED:
            server.stopped_by, server.fault = BY_USER, None


class Reboot(ServerAction):
    """compute.server.reboot. The mark makes a repeated run find that the reboot was done."""

    name = "compute.server.reboot"
    playbook = "compute/server_reboot.yml"
    doing = "Reboot of the server"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        wanted = {"type": job.args["type"], "mark": job.id, "timeout_s": plans.SHUTDOWN_TIMEOUT_S}
        return plans.present(session, server, "running", reboot=wanted)


class Converge(Start):
    """compute.server.converge: a guest that should run runs again after its host restarted."""

    name = "compute.server.converge"
    deadline_s = 600
    doing = "Bringing the server back"


class Delete(ServerAction):
    """compute.server.delete: guest, disks and wire go; then the server is deleted."""

    name = "compute.server.delete"
    playbook = "compute/server_delete.yml"
    deadline_s = 600
    doing = "Deletion of the server"

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        server = server_of(session, job)
        ports = [network.DetachedPort(**port) for port in server.detached]
        return network.detach_locks(session, str(server.host), ports) if ports else ()

    def is_void(self, server: Server) -> bool:
        return server.deleted

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.absent(session, server)

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        server = server_of(session, job)
        if not server.deleted:
            lifecycle.gone(session, server)
        history.finish(session, job)

    def undone(self, server: Server, message: str, failure: Failure) -> None:
        server.fail(f"{message} Delete it again once that is repaired.", details_of(failure))


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


for _action in (Create(), Start(), Stop(), Reboot(), Converge(), Delete(), Console()):
    register(_action)
