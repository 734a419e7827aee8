"""What a run left behind, read: its steps, its results, and why it failed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from api.engine.actions import Failure
from api.engine.runner import EVENTS, RESULTS

READ_LIMIT_BYTES = 16 * 1024 * 1024
STEP_MESSAGE_LIMIT = 1000
log = logging.getLogger("stratiform.engine")

_STEPS = {"ok": "ok", "changed": "changed", "failed": "failed", "ignored": "failed", "unreachable": "unreachable"}


@dataclass
class Ended:
    """A run that is over: `failure` is None when all went well; `interrupted` when it was killed and says nothing."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: Failure | None = None
    interrupted: bool = False


def read(job_dir: Path, offset: int, code: int, hosts: list[str]) -> Ended:
    """Reads the run that began at `offset` of the events file and ended with ansible-playbook's exit code."""
    ended = Ended(results=_results(job_dir))
    begun = False
    seen: list[str] | None = None
    bad: list[dict[str, Any]] = []
    for event in _lines(job_dir / EVENTS, offset):
        kind = event["event"]
        if kind in _STEPS:
            ended.steps.append({
                "name": event["task"], "host": event["host"], "result": _STEPS[kind],
                "started_at": event["started_at"] or event["at"], "finished_at": event["at"],
                "message": event.get("message", "")[:STEP_MESSAGE_LIMIT] or None,
            })  # fmt: skip
        begun = begun or kind == "start"
        if kind in ("failed", "unreachable"):
            bad.append(event)
        elif kind == "end":
            seen = event["hosts"]
    if code == 0 and seen is not None:
        ended.failure = _absent([host for host in hosts if host not in seen])
    elif bad and code in (2, 4):  # ansible-playbook: hosts failed, hosts were unreachable
        ended.failure = _failure(bad, ended.results)
    elif code >= 128 or (begun and seen is None):
        ended.interrupted = True  # killed, as a whole or one of Ansible's workers
    else:
        log.error("%s: ansible-playbook ended with code %d; see the file output there", job_dir, code)
        sentence = f"The playbook could not be run (exit code {code}); the operator finds why in {job_dir.name}/output."
        ended.failure = Failure("engine", sentence)
    return ended


def _absent(hosts: list[str]) -> Failure | None:
    if not hosts:
        return None
    return Failure("engine", f"The playbook left out {', '.join(hosts)}: check the inventory.", host=hosts[0])


def _failure(bad: list[dict[str, Any]], results: dict[str, dict[str, Any]]) -> Failure:
    """A failed task says more than an unreachable host, which is tried again."""
    first = next((event for event in bad if event["event"] == "failed"), bad[0])
    message = first.get("message") or "The task failed without a message."
    if first["event"] == "unreachable":
        return Failure("unreachable", f"The host {first['host']} could not be reached: {message}", first["host"],
                       first["task"], results)  # fmt: skip
    return Failure("failed", message, first["host"], first["task"], results)


def _results(job_dir: Path) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for line in _lines(job_dir / RESULTS, 0):
        for resource_id, observed in line.items():
            if isinstance(observed, dict):
                merged.setdefault(resource_id, {}).update(observed)
    return merged


def _lines(path: Path, offset: int) -> Iterator[dict[str, Any]]:
    """The whole lines of a file; one that was cut off by a kill is left out."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(READ_LIMIT_BYTES)
    except FileNotFoundError:
        return
    for line in data.split(b"\n")[:-1]:
        yield json.loads(line)
