"""Jobs that make images of servers' disks: createImage, createBackup, and the shelving that builds on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from api.compute import history, images, plans, shelving
from api.compute.actions.base import ServerAction, details_of, server_of
from api.compute.actions.power import Create, Delete, Start
from api.compute.models import Server
from api.compute.states import (
    IMAGE_SNAPSHOT,
    IMAGE_SNAPSHOT_PENDING,
    SHELVED,
    SHELVING,
    SHELVING_UPLOADING,
    SHUTDOWN,
    STOPPED,
)
from api.config import settings
from api.engine.actions import Failure, Plan
from api.engine.models import Job
from api.image import service as image

UPLOAD_S = 4 * 3600
UNDER_WAY = {IMAGE_SNAPSHOT_PENDING: IMAGE_SNAPSHOT, SHELVING: SHELVING_UPLOADING}


class Snapshot(ServerAction):
    """compute.server.snapshot: the disk as it is at one moment. When the image has its bytes, it is done."""

    name = "compute.server.snapshot"
    playbook = "compute/server_snapshot.yml"
    deadline_s = UPLOAD_S
    doing = "Image of the server"
    is_harmless = True

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return ()

    def started(self, session: Session, job: Job) -> None:
        server = server_of(session, job)
        if server.task_state in UNDER_WAY:
            server.move(server.vm_state, task_state=UNDER_WAY[server.task_state])

    def plan(self, session: Session, job: Job) -> Plan:
        return Plan() if image.has_bytes(session, job.args["image_id"]) else super().plan(session, job)

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        snapshot = {"id": server.id, "image_id": job.args["image_id"], "disk": plans.root_path(server),
                    "url": image.upload_url(job.args["image_id"], UPLOAD_S), "ca_file": settings().ca_file}  # fmt: skip
        return {str(server.host): {"disk_snapshot": {"snapshots": [snapshot]}}}

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        server.move(server.vm_state)
        if "rotation" in job.args:
            image.rotate_backups(session, job.args["image_id"], job.args["rotation"])

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        image.discard_snapshot(session, job.args["image_id"])
        super().failed(session, job, failure)


class Shelve(Snapshot):
    """compute.server.shelve: off first, then the image; then the server leaves its host."""

    name = "compute.server.shelve"
    doing = "Shelving of the server"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.merge(plans.stopped_before(server, job.id), super().sections(session, job, server))

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        image_id = job.args["image_id"]
        server.shelved = {"image_id": image_id, "picture": images.copy_of(image.snapshot_image(session, image_id))}
        server.power_state, server.vnc_port = 0, None
        server.move(SHELVED)
        if shelving.offloads_at_once():
            shelving.leave(session, server)
            history.follow(session, job, server, "shelveOffload", "compute.server.offload")

    def undone(self, server: Server, message: str, failure: Failure) -> None:
        """The server as it is, which is stopped when the guest was shut down before the image failed."""
        if failure.results.get(server.id, {}).get("power_state") == "shutdown":
            server.power_state, server.vnc_port = SHUTDOWN, None
            server.move(STOPPED)
        else:
            server.move(server.vm_state)


class Offload(Delete):
    """compute.server.offload: nothing of a shelved server stays on its host; its ports wait."""

    name = "compute.server.offload"
    doing = "Leaving the host"

    def is_void(self, server: Server) -> bool:
        return ServerAction.is_void(self, server)

    def succeeded(self, session: Session, job: Job, outcome: Any) -> None:
        ServerAction.succeeded(self, session, job, outcome)

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        shelving.offloaded(session, server)

    def undone(self, server: Server, message: str, failure: Failure) -> None:
        if server.vm_state == SHELVED:
            server.move(SHELVED)
        else:
            server.fail(message, details_of(failure))


class Unshelve(Start):
    """compute.server.unshelve: a shelved server that is still on its host."""

    name = "compute.server.unshelve"
    doing = "Unshelving of the server"
    is_harmless = True

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        self.done(server, observed)
        shelving.returned(session, server)


class SpawnShelved(Create):
    """compute.server.spawn_shelved: a server that left its host is made again, from its image."""

    name = "compute.server.spawn_shelved"
    doing = "Unshelving of the server"

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        ServerAction.done(self, server, observed)
        if server.vm_state == STOPPED:
            server.fail(f"{self.doing} failed: the guest was powered off right after its start. Look at its console "
                        "log.")  # fmt: skip
        shelving.returned(session, server)

    def gave_up(self, session: Session, job: Job, server: Server, message: str, failure: Failure) -> None:
        shelving.stay_offloaded(session, server)
