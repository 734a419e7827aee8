"""Projects with leftovers: what hangs on one, and emptying it, pass by pass, until nothing is left or nothing moves.

The first pass is the request's; the engine makes the others as long as the row says `running`, so a purge survives it.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from api.db.base import utcnow
from api.db.events import announce
from api.engine.models import UNFINISHED, Job
from api.http import policy
from api.http.context import Context
from api.http.faults import NotFound
from api.http.hanging import Hanging, Purge, tree
from api.http.responses import iso_micro
from api.identity import service as identity
from api.operations.models import DONE, INCOMPLETE, RUNNING, ProjectPurge

REMOVALS_A_PASS = 50
"""A pass is one write transaction, which others wait for."""
STALLED = datetime.timedelta(minutes=5)


def hanging(session: Session, project_id: str) -> list[Hanging]:
    """All that hangs on a project."""
    found: list[Hanging] = []
    announce(session, "project.hangs_on", project_id=project_id, found=found)
    return found


def _check(session: Session, context: Context, project_id: str, rule: str) -> None:
    """404 unless the project is there and the caller may see it; 403 unless the caller may do `rule`."""
    target = {"project_id": project_id, "tenant_id": project_id}
    allowed = policy.allowed(context, "operations:project:hangs_on", target)
    if not allowed or identity.get_project(session, project_id) is None:
        raise NotFound(f"There is no project {project_id}.")
    policy.authorize(context, rule, target)


def shown(session: Session, context: Context, project_id: str) -> dict[str, Any]:
    """What hangs on the project, as a tree, and how many of each type."""
    _check(session, context, project_id, "operations:project:hangs_on")
    found = hanging(session, project_id)
    counts: dict[str, int] = {}
    for item in found:
        counts[item.type] = counts.get(item.type, 0) + 1
    return {"project_id": project_id, "count": len(found), "counts": counts, "hanging": tree(found)}


def view(purge: ProjectPurge) -> dict[str, Any]:
    """A purge as the API shows it."""
    return {
        "project_id": purge.project_id, "state": purge.state, "request_id": purge.request_id,
        "removed": purge.removed, "remaining": purge.remaining, "leftovers": purge.leftovers,
        "started_at": iso_micro(purge.started_at), "finished_at": iso_micro(purge.finished_at),
    }  # fmt: skip


def get(session: Session, context: Context, project_id: str) -> ProjectPurge:
    """The project's last purge; 404 when there was none."""
    _check(session, context, project_id, "operations:project:hangs_on")
    found = session.get(ProjectPurge, project_id)
    if found is None:
        raise NotFound(f"Project {project_id} was not purged.")
    return found


def start(session: Session, context: Context, project_id: str) -> ProjectPurge:
    """Begins to empty the project, or goes on with what a former purge left."""
    _check(session, context, project_id, "operations:project:purge")
    purge = session.get(ProjectPurge, project_id)
    if purge is not None and purge.state == RUNNING:
        return purge
    if purge is None:
        purge = ProjectPurge(project_id=project_id, request_id="", user_id="")
        session.add(purge)
    now = utcnow()
    purge.state, purge.request_id, purge.user_id = RUNNING, context.request_id, context.user_id
    purge.removed, purge.leftovers, purge.started_at, purge.progress_at = 0, [], now, now
    purge.finished_at = None
    purge.remaining = len(hanging(session, project_id))
    session.flush()
    go_on(session, purge)
    return purge


def go_on(session: Session, purge: ProjectPurge) -> None:
    """One pass: removes what can be removed now, and says how it stands."""
    by = Context(purge.request_id, purge.user_id, project_id=purge.project_id, roles=("admin",))
    one_pass = Purge(REMOVALS_A_PASS)
    announce(session, "project.purge", context=by, purge=one_pass)
    session.flush()
    left = hanging(session, purge.project_id)
    now = utcnow()
    if len(left) < purge.remaining:
        purge.progress_at = now
    purge.remaining = len(left)
    purge.removed += one_pass.removed
    purge.leftovers = tree(left, one_pass.refused)
    at_work = session.scalar(select(exists().where(Job.request_id == purge.request_id, Job.state.in_(UNFINISHED))))
    if not left:
        if not at_work:  # hosts are clean too, or their jobs have said why not
            _end(purge, DONE)
    elif (not one_pass.removed and not at_work) or now - purge.progress_at > STALLED:
        _end(purge, INCOMPLETE)


def _end(purge: ProjectPurge, state: str) -> None:
    purge.state, purge.finished_at = state, utcnow()


def forget(session: Session, *, project_id: str) -> None:
    """A project's purge goes with it."""
    purge = session.get(ProjectPurge, project_id)
    if purge is not None:
        session.delete(purge)


def go_on_with_all(session: Session) -> None:
    """A pass of every purge that is under way (the engine, at a host's heartbeat)."""
    for purge in session.scalars(select(ProjectPurge).where(ProjectPurge.state == RUNNING)).all():
        go_on(session, purge)
