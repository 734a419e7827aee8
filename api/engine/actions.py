"""What a service tells the engine: actions (service -> playbook), and observers of what hosts report.

A service subclasses `Action` in its `actions.py` and calls `register()`; its `service.py` calls `enqueue()` inside the
transaction that writes the desired state. See docs/architecture.md, "Contracts".
"""

from __future__ import annotations

import datetime
import socket
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sqlalchemy import update
from sqlalchemy.orm import Session

from api.config import settings
from api.db import postgres
from api.db.base import utcnow
from api.db.session import after_commit
from api.engine.models import UNFINISHED, Job, JobResource


@dataclass(frozen=True)
class Plan:
    """What one run does: per inventory host the arguments of each module (docs/contracts.md, "Request document").

    No hosts: there is nothing to do, and the job succeeds without a run.
    """

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a run that ended well reported: per resource id, what the modules observed."""

    results: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """Why a job failed, for people: `message` says what to do. `results` holds what succeeded before."""

    kind: Literal["failed", "unreachable", "timeout", "cancelled", "engine"]
    message: str
    host: str | None = None
    step: str | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)


class Action(ABC):
    """One kind of job. Methods get short transactions: read-only in `locks` and `plan`, writing in the others."""

    name: ClassVar[str]
    """For instance `compute.server.create`; also what tenants read in the history."""
    playbook: ClassVar[str]
    """Below `playbooks/tenant/`, for instance `compute/server_create.yml`."""
    deadline_s: ClassVar[float] = 300
    """From the request until the job must have ended, retries included."""
    interactive: ClassVar[bool] = False
    """Someone waits for the answer (a query of a host): claimed before others, and a little beyond the limits."""

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        """Shared host objects to hold while planning and running; the job's own resources are always held."""
        return ()

    @abstractmethod
    def plan(self, session: Session, job: Job) -> Plan:
        """The desired state as module arguments. Called after the locks are held, again for each attempt."""

    def started(self, session: Session, job: Job) -> None:  # noqa: B027 (most actions have nothing to note)
        """The run is about to begin (each attempt)."""

    def retried(self, session: Session, former: Job, job: Job) -> str | None:
        """`job` is to repeat `former`, which failed: prepare the resources, or say why that makes no sense any more."""
        return None

    @abstractmethod
    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        """Writes the observed state, in the transaction that finishes the job."""

    @abstractmethod
    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        """Leaves the resources in a defined state with the reason, in the transaction that finishes the job.

        Called once, after the last attempt; also for a cancelled job and one whose plan could not be made.
        """


_actions: dict[str, Action] = {}


def register(action: Action) -> None:
    """Makes an action known by its name."""
    _actions[action.name] = action


def action(name: str) -> Action:
    """The action of that name; KeyError when no service registered it."""
    return _actions[name]


def all_actions() -> list[Action]:
    """Every registered action, by name."""
    return [_actions[name] for name in sorted(_actions)]


def enqueue(
    session: Session,
    name: str,
    *,
    resources: Iterable[tuple[str, str]],
    request_id: str,
    global_request_id: str | None = None,
    user_id: str | None = None,
    project_id: str | None = None,
    args: dict[str, Any] | None = None,
    not_before: datetime.datetime | None = None,
) -> Job:
    """Stores a job in the caller's transaction and wakes the engine once that is committed.

    `args` are ours, not the tenant's text: anything that a tenant wrote is read from the resources when planning.
    """
    now = utcnow()
    job = Job(
        action=name, args=args or {}, request_id=request_id, global_request_id=global_request_id,
        user_id=user_id, project_id=project_id, not_before=not_before, created_at=now,
        deadline_at=(not_before or now) + datetime.timedelta(seconds=action(name).deadline_s),
        resources=[JobResource(resource_type=type_, resource_id=id_) for type_, id_ in dict.fromkeys(resources)],
    )  # fmt: skip
    session.add(job)
    session.flush()
    _wake(session)
    return job


def cancel(session: Session, job_id: str) -> bool:
    """Asks the engine to end a job; false when it has ended already (or never was). Stops within a second or two."""
    wanted = update(Job).where(Job.id == job_id, Job.state.in_(UNFINISHED)).values(cancel_requested=True)
    found = session.execute(wanted.returning(Job.number)).first() is not None
    _wake(session)
    return found


def _wake(session: Session) -> None:
    """Wakes the engines once this transaction is committed: this host's by its socket, all by the database."""
    postgres.notify(session)
    after_commit(session, wake_engine)


def wake_engine() -> None:
    """Tells the engine that there is work. Losing the message costs a moment: the engine also looks by itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as wake:
        try:
            wake.sendto(b"1", str(settings().run_dir / "engine.sock"))
        except OSError:
            return  # no engine runs, or it has enough messages: it looks at the table when it can


ObservedKind = Literal["snapshot", "heartbeat", "domain", "port", "host_up", "host_down", "host_restarted"]
Observer = Callable[[Session, str, dict[str, Any]], None]
"""(session of a write transaction, host, the worker's message: docs/contracts.md, "Resident worker")"""
_observers: dict[str, list[Observer]] = defaultdict(list)


def observe(kind: ObservedKind, observer: Observer) -> None:
    """Calls `observer` for each message of that kind. host_up, host_down and host_restarted are the engine's own."""
    if observer not in _observers[kind]:
        _observers[kind].append(observer)


def notify(session: Session, kind: ObservedKind, host: str, message: dict[str, Any]) -> None:
    """Hands a message to the observers (the engine calls this)."""
    for observer in _observers[kind]:
        observer(session, host, message)
