"""The cloud's own processes, as this machine shows them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

VICTIMS = {
    "api": "uwsgi",
    "engine": "-m api engine",
    "playbook": "warm_client.py /run/stratiform/",
    "worker": "/usr/lib/stratiform/ansible_collections/stratiform/cloud/plugins/worker/resident.py",
}


def pids(pattern: str) -> list[int]:
    """Processes whose command line holds `pattern`, and that belong to the control plane of the cloud on this machine.

    Not those of clouds in containers on it, which show here too: they have PIDs of their own.
    """
    found = []
    own = os.stat("/proc/self/ns/pid").st_ino
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "ns/pid").stat().st_ino != own:
                    continue
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if pattern in line:
                found.append(int(entry.name))
    return found


def kill(victim: str) -> int:
    """SIGKILL to every process of that kind, once there is one (a playbook's may be over already); how many it hit."""
    hit, end = 0, time.monotonic() + 1
    while not hit and time.monotonic() < end:
        for pid in pids(VICTIMS[victim]):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            hit += 1
        time.sleep(0.01)
    return hit
