"""Jobs that give a guest other disks or another size: rescue, unrescue, rebuild, resize, its confirmation and revert.

What a guest becomes is stated whole; that it is started anew is a mark with the job's id, so a repeat does it once.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from sqlalchemy.orm import Session

from api.compute import plans, resizing
from api.compute.actions.base import ServerAction, keep_state, server_of
from api.compute.models import Server
from api.compute.states import (
    ACTIVE,
    REBUILD_SPAWNING,
    REBUILDING,
    RESCUED,
    RESIZE_MIGRATING,
    RESIZE_PREP,
    RESIZED,
    STOPPED,
)
from api.db.base import utcnow
from api.engine.actions import Failure
from api.engine.models import Job


class Reshape(ServerAction):
    """What these jobs share: a playbook that stops, makes disks, plugs in, defines, starts, and tidies up."""

    playbook = "compute/server_reshape.yml"
    deadline_s = 1800

    @staticmethod
    def restarted(job: Job, kind: str = "hard") -> dict[str, Any]:
        """The reboot into the new shape, marked by the job."""
        return {"type": kind, "mark": job.id, "timeout_s": plans.SHUTDOWN_TIMEOUT_S}


class Rescue(Reshape):
    """compute.server.rescue."""

    name = "compute.server.rescue"
    doing = "Rescue of the server"
    when_running = RESCUED

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        rescue = server.rescue or {}
        section = {
            "images": [plans.cached(rescue["image_id"], rescue["picture"])],
            "disks": [{"id": server.id, "path": plans.root_path(server, rescue["disk"]), "size_gb": 0,
                       "image_id": rescue["image_id"], "state": "present"}],
            "config_drives": plans.config_drives(session, server),
        }  # fmt: skip
        return plans.merge({str(server.host): {"disk_image": section}},
                           plans.present(session, server, "running", reboot=self.restarted(job, "soft")))  # fmt: skip

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        server.secret = None
        super().finished(session, job, server, observed)

    def gave_up(self, session: Session, job: Job, server: Server, message: str, failure: Failure) -> None:
        server.rescue = server.secret = None
        self.undone(server, message, failure)


class Unrescue(Reshape):
    """compute.server.unrescue."""

    name = "compute.server.unrescue"
    doing = "Unrescue of the server"

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        shape = dataclasses.replace(plans.shape_of(server), rescue=None)
        return plans.merge(plans.present(session, server, "running", shape, reboot=self.restarted(job)),
                           plans.tidy(server, server.root_disk))  # fmt: skip

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        server.rescue = None
        super().finished(session, job, server, observed)

    def gave_up(self, session: Session, job: Job, server: Server, message: str, failure: Failure) -> None:
        if failure.kind not in ("unreachable", "cancelled"):
            server.rescue = None
        self.undone(server, message, failure)


class Rebuild(Reshape):
    """compute.server.rebuild. A server that was stopped stays so."""

    name = "compute.server.rebuild"
    doing = "Rebuild of the server"

    def started(self, session: Session, job: Job) -> None:
        server = server_of(session, job)
        if server.task_state == REBUILDING:
            server.move(server.vm_state, task_state=REBUILD_SPAWNING)

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        if job.args["vm_state"] == STOPPED:
            power = plans.present(session, server, "shutdown")
        else:
            power = plans.present(session, server, "running", reboot=self.restarted(job))
        return plans.merge(plans.disks(session, server), power, plans.tidy(server, server.root_disk))

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        server.secret, server.fault, server.launched_at = None, None, utcnow()
        super().finished(session, job, server, observed)

    def undone(self, server: Server, message: str, failure: Failure) -> None:
        server.secret = None
        server.fail(f"{message} Rebuild it again, or delete it.", failure.message)


class Resize(Reshape):
    """compute.server.resize: a copy of the disk, grown; the old one stays until the resize is confirmed."""

    name = "compute.server.resize"
    doing = "Resize of the server"

    def started(self, session: Session, job: Job) -> None:
        server = server_of(session, job)
        if server.task_state == RESIZE_PREP:
            server.move(server.vm_state, task_state=RESIZE_MIGRATING)

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        new, old = (server.resize or {})["new"], (server.resize or {})["old"]
        disk = {"id": server.id, "path": plans.root_path(server, new["root_disk"]), "size_gb": new["flavor"]["disk"],
                "copy_of": plans.root_path(server, old["root_disk"]), "state": "present"}  # fmt: skip
        return plans.merge(
            plans.stopped_before(server, job.id), {str(server.host): {"disk_image": {"disks": [disk]}}},
            self.powered_as_before(session, job, server, plans.Shape(new["flavor"], new["root_disk"], None)),
        )  # fmt: skip

    def powered_as_before(self, session: Session, job: Job, server: Server, shape: plans.Shape) -> plans.Sections:
        """Running or not, as the server was before it was resized."""
        if (server.resize or {})["was"] == ACTIVE:
            return plans.present(session, server, "running", shape, reboot=self.restarted(job))
        return plans.present(session, server, "shutdown", shape)

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        keep_state(server, observed)
        resizing.resized(session, server)

    def gave_up(self, session: Session, job: Job, server: Server, message: str, failure: Failure) -> None:
        resizing.failed(session, server)
        self.undone(server, f"{message} The disk is as it was: reboot it hard to run it as before.", failure)


class ConfirmResize(Reshape):
    """compute.server.confirm_resize."""

    name = "compute.server.confirm_resize"
    doing = "Confirmation of the resize"
    is_harmless = True

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        return plans.tidy(server, server.root_disk)

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        resizing.confirmed(session, server)


class RevertResize(Resize):
    """compute.server.revert_resize: the old disk and size again."""

    name = "compute.server.revert_resize"
    doing = "Revert of the resize"

    def started(self, session: Session, job: Job) -> None:
        """The task's name stays."""

    def sections(self, session: Session, job: Job, server: Server) -> plans.Sections:
        old = (server.resize or {})["old"]
        return plans.merge(
            self.powered_as_before(session, job, server, plans.Shape(old["flavor"], old["root_disk"], None)),
            plans.tidy(server, old["root_disk"]),
        )

    def finished(self, session: Session, job: Job, server: Server, observed: dict[str, Any]) -> None:
        resizing.reverted(session, server)
        self.done(server, observed)

    def gave_up(self, session: Session, job: Job, server: Server, message: str, failure: Failure) -> None:
        if failure.kind in ("unreachable", "cancelled"):
            server.move(RESIZED)
            return
        resizing.reverted(session, server)
        self.undone(server, f"{message} Reboot it hard to run it with its old flavor.", failure)
