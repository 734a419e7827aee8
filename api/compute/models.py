"""Compute's tables. The state machine of servers is in states.py."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from api.compute.states import BUILDING, ERROR, NOSTATE, TRANSITIONS, status_of
from api.db.base import Base, Json, new_uuid, utcnow


def instance_name(number: int) -> str:
    """The name of a server's domain on its host."""
    return f"instance-{number:08x}"


class Flavor(Base):
    """A size of servers. ram in MiB, disk and ephemeral in GiB, swap in MiB."""

    __tablename__ = "flavors"
    __table_args__ = {"sqlite_autoincrement": True}

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]
    vcpus: Mapped[int]
    ram_mb: Mapped[int]
    disk_gb: Mapped[int]
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    swap_mb: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    extra_specs: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime | None]


class FlavorAccess(Base):
    """A project that may use a flavor that is not public."""

    __tablename__ = "flavor_access"

    flavor_id: Mapped[str] = mapped_column(ForeignKey("flavors.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(primary_key=True, index=True)


class KeyPair(Base):
    """A user's public key. `type` is `ssh` or `x509`."""

    __tablename__ = "keypairs"
    __table_args__ = (Index("ix_keypairs_user_name", "user_id", "name", unique=True), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    user_id: Mapped[str]
    name: Mapped[str]
    type: Mapped[str] = mapped_column(default="ssh")
    fingerprint: Mapped[str]
    public_key: Mapped[str]
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class Quota(Base):
    """A project's own limit of a resource; -1 means none."""

    __tablename__ = "compute_quotas"

    project_id: Mapped[str] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    limit: Mapped[int]


class Server(Base):
    """A server: what was asked for, where it is, and how it does.

    `flavor`, `image` and `keypair` are copies of the time of creation: the originals may change or go. `detached` are
    the ports that a deletion still has to take off the host. `root_disk` is the disk's file name in the server's
    directory: what makes the disk anew (rebuild, resize) makes a new file, so that a repeated job converges.
    `rescue` is the disk that a rescued server boots from, `shelved` the image that a shelved one returns from, `resize`
    what a resize began with and leads to. `secret` is the administrator's password, encrypted, until the guest
    was told.
    """

    __tablename__ = "servers"
    __table_args__ = (
        Index("ix_servers_project_deleted", "project_id", "deleted", "created_at"),
        Index("ix_servers_host_deleted", "host", "deleted"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_uuid)
    project_id: Mapped[str]
    user_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    hostname: Mapped[str]
    description: Mapped[str | None]
    image_id: Mapped[str] = mapped_column(index=True)
    image: Mapped[Json] = mapped_column(default=dict)
    flavor_id: Mapped[str]
    flavor: Mapped[Json] = mapped_column(default=dict)
    key_name: Mapped[str | None]
    keypair: Mapped[Json | None]
    meta: Mapped[Json] = mapped_column(default=dict)
    user_data: Mapped[str | None]
    config_drive: Mapped[bool] = mapped_column(default=False)
    host: Mapped[str | None]
    availability_zone: Mapped[str] = mapped_column(default="")
    pinned_zone: Mapped[str | None]
    scheduler_hints: Mapped[Json] = mapped_column(default=dict)
    group_id: Mapped[str | None] = mapped_column(index=True)
    reservation_id: Mapped[str]
    launch_index: Mapped[int] = mapped_column(default=0)
    access_ip_v4: Mapped[str] = mapped_column(default="")
    access_ip_v6: Mapped[str] = mapped_column(default="")
    disk_config: Mapped[str] = mapped_column(default="MANUAL")
    trusted_certificates: Mapped[list[Any] | None]
    locked_by: Mapped[str | None]
    locked_reason: Mapped[str | None]
    vm_state: Mapped[str] = mapped_column(default=BUILDING)
    task_state: Mapped[str | None]
    power_state: Mapped[int] = mapped_column(default=NOSTATE)
    stopped_by: Mapped[str | None]
    vnc_port: Mapped[int | None]
    fault: Mapped[Json | None]
    detached: Mapped[list[Any]] = mapped_column(default=list)
    root_disk: Mapped[str] = mapped_column(default="disk", server_default="disk")
    rescue: Mapped[Json | None]
    shelved: Mapped[Json | None]
    resize: Mapped[Json | None]
    secret: Mapped[str | None]
    guest_password: Mapped[str | None]
    deleted: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow, index=True)
    launched_at: Mapped[datetime.datetime | None]
    terminated_at: Mapped[datetime.datetime | None]
    tags: Mapped[list[ServerTag]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="ServerTag.position"
    )

    @property
    def status(self) -> str:
        """The one word that the API shows for vm_state and task_state."""
        return status_of(self.vm_state, self.task_state)

    @property
    def instance_name(self) -> str:
        """The domain's name on the host, and OS-EXT-SRV-ATTR:instance_name."""
        return instance_name(self.number)

    def move(self, vm_state: str, *, task_state: str | None = None) -> None:
        """Changes the state as TRANSITIONS allows; ValueError for a transition that does not exist."""
        if vm_state != self.vm_state and vm_state not in TRANSITIONS[self.vm_state]:
            raise ValueError(f"server {self.id} cannot go from {self.vm_state} to {vm_state}")
        self.vm_state, self.task_state = vm_state, task_state
        self.updated_at = utcnow()

    def fail(self, message: str, details: str = "") -> None:
        """ERROR with the reason. `message` is for the tenant, `details` for admins."""
        self.move(ERROR)
        now = utcnow().strftime("%Y-%m-%dT%H:%M:%SZ")
        self.fault = {"code": 500, "message": message[:1000], "details": details, "created": now}


class ServerTag(Base):
    """A tag of a server, in the order given."""

    __tablename__ = "server_tags"

    server_id: Mapped[str] = mapped_column(ForeignKey("servers.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)


class InstanceAction(Base):
    """What was done to a server. Its events are the steps of the job `job_id`; observed things have no job."""

    __tablename__ = "instance_actions"
    __table_args__ = (Index("ix_instance_actions_server", "server_id", "number"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    server_id: Mapped[str]
    request_id: Mapped[str]
    action: Mapped[str]
    user_id: Mapped[str | None]
    project_id: Mapped[str | None]
    job_id: Mapped[str | None] = mapped_column(index=True)
    host: Mapped[str | None]
    message: Mapped[str | None]
    start_time: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)


class ComputeService(Base):
    """What an operator says about a service of a host; whether it is up is the host's heartbeat.

    A row exists once there is something to say. `boot_id` is the host's boot that compute has last dealt with.
    """

    __tablename__ = "compute_services"

    host: Mapped[str] = mapped_column(primary_key=True)
    binary: Mapped[str] = mapped_column(primary_key=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None]
    forced_down: Mapped[bool] = mapped_column(default=False)
    boot_id: Mapped[str | None]
    updated_at: Mapped[datetime.datetime | None]


class Migration(Base):
    """A server's way to another size or host, for operators. Flavors by number, as Nova shows their internal ids."""

    __tablename__ = "migrations"
    __table_args__ = (Index("ix_migrations_server_id", "server_id"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_uuid)
    server_id: Mapped[str]
    project_id: Mapped[str | None]
    user_id: Mapped[str | None]
    type: Mapped[str]
    status: Mapped[str]
    source_host: Mapped[str | None]
    target_host: Mapped[str | None]
    old_flavor: Mapped[int | None]
    new_flavor: Mapped[int | None]
    created_at: Mapped[datetime.datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime.datetime | None]
