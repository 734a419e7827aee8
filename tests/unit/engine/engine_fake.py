"""A service for the engine's tests: its jobs say themselves what they do. Its outcomes go to a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from api.config import settings
from api.engine import actions
from api.engine.actions import Action, Failure, Outcome, Plan
from api.engine.models import Job


def tell(word: str, job: Job, **details: Any) -> None:
    """Notes that a method was called."""
    with (settings().state_dir / "outcomes.jsonl").open("a") as file:
        file.write(json.dumps({"what": word, "job": job.id, **details}) + "\n")


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
        tell("started", job)

    def succeeded(self, session: Session, job: Job, outcome: Outcome) -> None:
        if job.args.get("store_fails"):
            raise RuntimeError("cannot store")
        tell("succeeded", job, results=outcome.results)

    def failed(self, session: Session, job: Job, failure: Failure) -> None:
        tell("failed", job, kind=failure.kind, results=failure.results)


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
