"""Progress for people: one line a step, with its time."""

from __future__ import annotations

DOCUMENTATION = r"""
name: steps
type: stdout
short_description: One line a step, with its time
description:
  - Prints the name of each step, what came of it, and the seconds it took. Skipped steps are not shown; failures are
    shown in full words.
author:
  - Contributors to Stratiform
requirements:
  - none
"""

import sys
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

# From the most to the least worth telling.
RANK = ("FAILED", "unreachable", "changed", "ok", "skipped")


class CallbackModule(CallbackBase):
    """Collects what the hosts say of one step and prints it when the next begins."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "stratiform.cloud.steps"

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self._started = 0.0
        self._outcomes: list[str] = []
        self._details: list[str] = []
        self._open = False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._finish()
        self._line(f"\n{play.get_name()}")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._begin(task)

    def _begin(self, task: Any) -> None:
        self._finish()
        self._name, self._started = task.get_name().rpartition(" : ")[2], time.monotonic()
        self._outcomes, self._details = [], []
        self._open = True
        if sys.stdout.isatty():
            sys.stdout.write(f"  {self._name} ...\r")
            sys.stdout.flush()

    def _finish(self) -> None:
        if not self._open:
            return
        self._open = False
        outcome = next((rank for rank in RANK if rank in self._outcomes), "skipped")
        quiet = outcome == "skipped" or (outcome == "ok" and self._name.startswith("Validating arguments"))
        if not quiet:
            self._line(f"  {self._name:<64.64} {outcome:<8} {time.monotonic() - self._started:6.1f} s")
        for detail in self._details:
            self._line("    " + detail.replace("\n", "\n    "))

    @staticmethod
    def _line(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._outcomes.append("changed" if result.result.get("changed") else "ok")
        if result.task.action in ("ansible.builtin.debug", "debug") and "msg" in result.result:
            message = result.result["msg"]
            self._details.append(self._text(message))

    def _text(self, message: Any) -> str:
        """Lists, however nested, as lines."""
        return "\n".join(map(self._text, message)) if isinstance(message, list) else str(message)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._outcomes.append("skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._outcomes.append("ok" if ignore_errors else "FAILED")
        if not ignore_errors:
            self._details.append(f"{result.host.get_name()}: {self._words(result.result)}")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._outcomes.append("unreachable")
        self._details.append(f"{result.host.get_name()}: {result.result.get('msg', '')}")

    @staticmethod
    def _words(result: dict[str, Any]) -> str:
        if result.get("censored"):
            return "the step failed; its words are hidden because they may hold a secret"
        parts = [
            str(result.get("msg", "")).strip(),
            str(result.get("stderr") or result.get("module_stderr") or "").strip()[-4000:],
            str(result.get("stdout") or "").strip()[-2000:],
        ]
        return "\n".join(dict.fromkeys(part for part in parts if part))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._finish()
        changed = sum(stats.summarize(host)["changed"] for host in stats.processed)
        failed = sum(
            stats.summarize(host)["failures"] + stats.summarize(host)["unreachable"] for host in stats.processed
        )
        self._line(f"\n  {changed} steps changed something" + (f", {failed} failed" if failed else "") + ".")
