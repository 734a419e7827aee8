"""The jobs that plug interfaces into servers and take them out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from api.compute import history, interfaces, plans
from api.compute.actions.base import ServerAction, explain, server_of
from api.compute.models import Server
from api.engine.actions import Failure
from api.engine.models import Job
from api.network import service as network


class AttachInterface(ServerAction):
    """compute.server.attach_interface: the wire, then the guest with it, running or not."""

    name = interfaces.ATTACH
    playbook = "compute/server_attach_interface.yml"
    doing = "Attaching the interface"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.merge(plans.wired(session, server), plans.guest(session, server, None))

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        """The guest's state is not this job's business."""

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        """The port goes back to whom it was of, and the server stays as it was."""
        server = server_of(session, job)
        history.finish(session, job, explain(failure, self.doing))
        if not self.is_void(server):
            interfaces.give_back(session, server, [job.args["port_id"]])


class DetachInterface(ServerAction):
    """compute.server.detach_interface: the guest without it, then the wire goes."""

    name = interfaces.DETACH
    playbook = "compute/server_detach_interface.yml"
    doing = "Detaching the interface"

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return network.detach_locks(session, str(server_of(session, job).host), _ports(job))

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        gone = network.plan_detach(session, str(server.host), _ports(job))
        return plans.merge(plans.guest(session, server, None), gone)

    def done(self, server: Server, observed: dict[str, Any]) -> None:
        """The guest's state is not this job's business."""

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        """What is left on the host is taken away with the server; until then it is no port's."""
        server = server_of(session, job)
        history.finish(session, job, explain(failure, self.doing))
        if not server.deleted:
            server.detached = [*server.detached, *job.args["ports"]]


def _ports(job: Job) -> list[network.DetachedPort]:
    return [network.DetachedPort(**port) for port in job.args["ports"]]
