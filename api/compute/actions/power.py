"""A server's basic jobs: create, start, stop, reboot, bring back, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from api.compute import history, lifecycle, plans
from api.compute.actions.base import ServerAction, details_of, keep_state, server_of
from api.compute.models import Server
from api.compute.states import BY_USER, RESCUED, RESIZED, STOPPED
from api.engine.actions import Failure, Outcome
from api.engine.models import Job
from api.network import service as network


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
        server.secret = None
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
    """compute.server.converge: a guest that should run runs again after its host restarted, as rescued or resized."""

    name = "compute.server.converge"
    deadline_s = 600
    doing = "Bringing the server back"

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        if server.vm_state in (RESCUED, RESIZED):
            keep_state(server, observed)
        else:
            super().done(server, observed)


class Pause(ServerAction):
    """compute.server.pause."""

    name = "compute.server.pause"
    playbook = "compute/server_power.yml"
    doing = "Pausing the server"
    is_harmless = True
    power_state = "paused"

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return ()

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.powered(server, self.power_state)


class Unpause(Pause):
    """compute.server.unpause."""

    name = "compute.server.unpause"
    doing = "Unpausing the server"
    power_state = "running"


class Suspend(Pause):
    """compute.server.suspend: memory to a file on the host."""

    name = "compute.server.suspend"
    doing = "Suspending the server"
    deadline_s = 900
    power_state = "suspended"


class Resume(Start):
    """compute.server.resume: with the wire, as the host may have been restarted since."""

    name = "compute.server.resume"
    doing = "Resuming the server"
    is_harmless = True

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.merge(plans.wired(session, server), plans.powered(server, "running"))


class Interrupt(Pause):
    """compute.server.interrupt: a non-maskable interrupt, once for each job."""

    name = "compute.server.interrupt"
    doing = "Sending the interrupt"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return {str(server.host): {"libvirt_domain": {"domains": [
            {"id": server.id, "state": "present", "interrupt": job.id}]}}}  # fmt: skip

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        """What the guest makes of it shows by itself."""


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
