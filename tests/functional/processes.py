"""The cloud's own processes, as this machine shows them: those of its units, none of containers or of other tests."""

from __future__ import annotations

import os
import signal
import time

from scripts.footprint import members

VICTIMS = {
    # kind: (unit, a part of the command line)
    "api": ("stratiform-api", "uwsgi"),
    "engine": ("stratiform-engine", "-m api engine"),
    "playbook": ("stratiform-engine", "warm_client.py /run/stratiform/"),
    "worker": ("stratiform-worker", "plugins/worker/resident.py"),
}


def pids(victim: str) -> list[int]:
    """The processes of that kind."""
    unit, part = VICTIMS[victim]
    return [process.pid for process in members()[unit] if part in process.command]


def kill(victim: str) -> int:
    """SIGKILL to every process of that kind, once there is one (a playbook's may be over already); how many it hit."""
    hit, end = 0, time.monotonic() + 1
    while not hit and time.monotonic() < end:
        for pid in pids(victim):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            hit += 1
        time.sleep(0.01)
    return hit
