"""What the engine counts: runs, durations, retries, its warm process. Written to a file that the exporter reads.

Plain numbers in one process; `publish` writes them all, atomically, to `<run_dir>/metrics-<pid>.json`. A new engine
begins at zero, which Prometheus knows of counters. api/operations/metrics.py makes Prometheus' text of it.
"""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_left
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from api.config import settings
from api.engine import processes

BOUNDS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900)
"""Upper bounds of the histograms' buckets, in seconds; one more has no bound."""
PREFIX = "metrics-"


@dataclass
class Histogram:
    """How often durations fell into each bucket, and their sum in seconds."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class Metrics:
    """This process's numbers."""

    def __init__(self) -> None:
        self.ended: dict[tuple[str, str], int] = defaultdict(int)
        """(action, state) -> jobs that ended so."""
        self.retries: dict[tuple[str, str], int] = defaultdict(int)
        """(action, kind of failure) -> attempts that were put back."""
        self.runs: dict[tuple[str, str], int] = defaultdict(int)
        """(playbook, result) -> playbook runs: ok, failed, interrupted."""
        self.started: dict[str, int] = {"warm": 0, "cold": 0}
        self.durations: dict[str, Histogram] = defaultdict(Histogram)
        """Playbook -> how long its runs took."""
        self.waits: dict[str, Histogram] = defaultdict(Histogram)
        """Action -> from the request to the first claim."""
        self.warm_starts = 0
        self._began: dict[str, float] = {}

    def claimed(self, action: str, waited_s: float) -> None:
        """A job begins for the first time."""
        self.waits[action].observe(max(0.0, waited_s))

    def run_began(self, job_id: str, *, warm: bool) -> None:
        """A playbook starts."""
        self.started["warm" if warm else "cold"] += 1
        self._began[job_id] = time.monotonic()

    def run_ended(self, job_id: str, playbook: str, result: str) -> None:
        """A playbook is over."""
        self.runs[playbook, result] += 1
        if (began := self._began.pop(job_id, None)) is not None:
            self.durations[playbook].observe(time.monotonic() - began)

    def job_ended(self, action: str, state: str) -> None:
        """A job is done, failed or cancelled."""
        self.ended[action, state] += 1

    def put_back(self, action: str, kind: str) -> None:
        """An attempt came to nothing and will be repeated."""
        self.retries[action, kind] += 1

    def document(self, **gauges: float) -> dict[str, Any]:
        """All numbers, as the exporter reads them."""
        return {
            "pid": os.getpid(), "at": time.time(), "gauges": gauges,
            "ended": [[*key, value] for key, value in self.ended.items()],
            "retries": [[*key, value] for key, value in self.retries.items()],
            "runs": [[*key, value] for key, value in self.runs.items()],
            "started": self.started, "warm_starts": self.warm_starts,
            "durations": {name: asdict(histogram) for name, histogram in self.durations.items()},
            "waits": {name: asdict(histogram) for name, histogram in self.waits.items()},
        }  # fmt: skip

    def publish(self, **gauges: float) -> None:
        """Writes the numbers down; the first time, what engines that were killed have left goes."""
        path = path_of(os.getpid())
        if not path.exists():
            for left in path.parent.glob(f"{PREFIX}*.json"):
                if processes.start_ticks(int(left.stem.removeprefix(PREFIX))) is None:
                    left.unlink(missing_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(self.document(**gauges)))
        fresh.chmod(0o644)
        fresh.rename(path)

    def withdraw(self) -> None:
        """Removes what was written: the engine ends."""
        path_of(os.getpid()).unlink(missing_ok=True)


def path_of(pid: int) -> Path:
    """Where the engine of that process writes its numbers."""
    return settings().run_dir / f"{PREFIX}{pid}.json"


METRICS = Metrics()
