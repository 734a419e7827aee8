"""A service for the engine's tests: its jobs say themselves what they do. What it is told goes to a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import JSON, Column, Integer, MetaData, String, Table, insert
from sqlalchemy.orm import Session

from api.engine import actions
from api.engine.actions import Action, Failure, Outcome, Plan
from api.engine.models import Job

METADATA = MetaData()
OUTCOMES = Table(
    "fake_outcomes", METADATA, Column("number", Integer, primary_key=True), Column("job", String, index=True),
    Column("told", JSON),
)  # fmt: skip


def tell(session: Session, word: str, job: Job, **details: Any) -> None:
    """Notes that a method was called, unless its transaction is undone: what a service writes is undone too."""
    session.execute(insert(OUTCOMES).values(job=job.id, told={"what": word, "job": job.id, **details}))


class Probe(Action):
    """Runs the module probe with `args["sections"]`: host -> arguments."""

    name = "fake.probe"
    playbook = "fake/probe.yml"
    deadline_s = 60

    def locks(self, session: Session, job: Job) -> Iterable[str]:
        return job.args.get("locks", ())

    def plan(self, session: Session, job: Job) -> Plan:
        if job.args.get("plan_fails"):
            raise RuntimeError("no plan")
        return Plan({host: {"probe": section} for host, section in job.args["sections"].items()})

    def started(self, session: Session, job: Job) -> None:
        tell(session, "started", job)

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        if job.args.get("store_fails"):
            raise RuntimeError("cannot store")
        tell(session, "succeeded", job, results=outcome.results)

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        tell(session, "failed", job, kind=failure.kind, results=failure.results)


class Short(Probe):
    """Must end within eight seconds."""

    name = "fake.short"
    deadline_s = 8


class Query(Probe):
    """Somebody waits for it."""

    name = "fake.query"
    interactive = True


class Broken(Probe):
    """Its playbook cannot run."""

    name = "fake.broken"
    playbook = "fake/broken.yml"


for one in (Probe(), Short(), Query(), Broken()):
    actions.register(one)
