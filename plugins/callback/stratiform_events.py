"""Writes a run's history for the engine: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = """
name: stratiform_events
type: stdout
short_description: Write one JSON line per event of a tenant's run
description:
  - Appends an object per line to the file that E(STRATIFORM_EVENTS) names, in order, with bounded texts and without
    module arguments. Results that modules report as custom stats go to the file that E(STRATIFORM_RESULTS) names.
  - Prints only what keeps a run from beginning, so that tenants' data stands in no output.
  - The engine of Stratiform sets it as the stdout callback of its runs.
author:
  - Stratiform
requirements:
  - The environment variables E(STRATIFORM_EVENTS) and E(STRATIFORM_RESULTS).
"""

import datetime
import json
import os
from typing import Any

from ansible.executor.stats import AggregateStats
from ansible.executor.task_result import CallbackTaskResult
from ansible.inventory.host import Host
from ansible.playbook import Playbook
from ansible.playbook.task import Task
from ansible.plugins.callback import CallbackBase

MESSAGE_LIMIT = 2000
"""Characters of a message that are kept."""
EVENTS_LIMIT_BYTES = 1024 * 1024
"""Beyond this a run's events file takes failures and the end only."""
ALWAYS_WRITTEN = frozenset({"start", "failed", "unreachable", "end"})


class CallbackModule(CallbackBase):
    """The events of one run, in order."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "stratiform.cloud.stratiform_events"

    def __init__(self) -> None:
        super().__init__()
        self._events = _append_only(os.environ["STRATIFORM_EVENTS"], 0o640)
        self._results = _append_only(os.environ["STRATIFORM_RESULTS"], 0o600)
        self._began: dict[tuple[str, str], str] = {}

    def v2_playbook_on_start(self, playbook: Playbook) -> None:
        """Note that the play begins."""
        self._write({"event": "start", "at": _now(), "request_id": os.environ.get("STRATIFORM_REQUEST_ID", "")})

    def v2_runner_on_start(self, host: Host, task: Task) -> None:
        """Note that a host begins a task."""
        now = _now()
        self._began[host.get_name(), task._uuid] = now
        self._write({"event": "begin", "at": now, "host": host.get_name(), "task": task.get_name()})

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        """Note a task that went well."""
        self._ended("changed" if result.result.get("changed") else "ok", result)

    def v2_runner_on_skipped(self, result: CallbackTaskResult) -> None:
        """Note a task that had nothing to do."""
        self._ended("skipped", result)

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        """Note a failed task; a failure that the play ignores is told apart."""
        self._ended("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        """Note a host that could not be reached."""
        self._ended("unreachable", result)

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        """Note the end: which hosts took part."""
        self._write({"event": "end", "at": _now(), "hosts": sorted(stats.processed)})

    def _ended(self, outcome: str, result: CallbackTaskResult) -> None:
        host, task = result.host.get_name(), result.task
        event: dict[str, Any] = {
            "event": outcome, "at": _now(), "host": host, "task": task.get_name(),
            "started_at": self._began.pop((host, task._uuid), None),
        }  # fmt: skip
        values = result.result
        if outcome in ("failed", "unreachable", "ignored"):
            event["message"] = str(values.get("msg", ""))[:MESSAGE_LIMIT]
            if isinstance(values.get("failures"), dict):
                event["failed_resources"] = sorted(map(str, values["failures"]))
        self._write(event)
        self._report(values.get("ansible_stats"))

    def _report(self, stats: Any) -> None:
        """Hand on the results that a module reported, a line per module call."""
        data = stats.get("data") if isinstance(stats, dict) else None
        results = data.get("results") if isinstance(data, dict) else None
        if isinstance(results, dict) and results:
            os.write(self._results, json.dumps(results).encode() + b"\n")

    def _write(self, event: dict[str, Any]) -> None:
        if event["event"] in ALWAYS_WRITTEN or os.fstat(self._events).st_size < EVENTS_LIMIT_BYTES:
            os.write(self._events, json.dumps(event).encode() + b"\n")


def _append_only(path: str, mode: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()
