"""SIGKILLs at random points of engine, warm process and playbook children, during a load of jobs.

Seeded: STRATIFORM_FAULT_SEED repeats a run, STRATIFORM_FAULTS says how many kills (default 25).
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "engine"))

from engine_bench import Bench, bench_maker  # noqa: E402

from api.engine.models import UNFINISHED, Job, JobLock  # noqa: E402

FAULTS = int(os.environ.get("STRATIFORM_FAULTS", "25"))
SEED = int(os.environ.get("STRATIFORM_FAULT_SEED", "20261125"))


def victims(bench: Bench) -> dict[str, list[int]]:
    """What can be killed, by kind."""
    found: dict[str, list[int]] = {"engine": [bench.engines[-1].pid], "warm": [], "fork": [], "client": []}
    warm: list[int] = []
    for pid in bench.processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"warm_client" in command:
            found["client"].append(pid)
        elif b"api.engine.warm" in command:
            warm.append(pid)
    found["warm"], found["fork"] = sorted(warm)[:1], sorted(warm)[1:]
    return {kind: pids for kind, pids in found.items() if pids}


def unfinished(bench: Bench) -> int:
    """How many jobs have not ended."""
    with bench.db.read() as session:
        return session.scalar(select(func.count()).select_from(Job).where(Job.state.in_(UNFINISHED))) or 0


def calls_out_of_turn(bench: Bench) -> list[str]:
    """Resources for which a call ended after a later one had begun: a former run went on beside its repetition."""
    latest: dict[str, int] = {}
    wrong = []
    for word, name, pid, _ in bench.calls():
        if word == "begin":
            latest[name] = pid
        elif latest[name] != pid:
            wrong.append(name)
    return wrong


def interrupted(bench: Bench) -> int:
    """How many jobs needed more than one attempt."""
    with bench.db.read() as session:
        return session.scalar(select(func.count()).select_from(Job).where(Job.attempts > 1)) or 0


def test_no_job_is_lost_or_stuck(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    killed: Counter[str] = Counter()
    job_ids: list[str] = []

    def feed() -> None:
        """Jobs end while something else is waited for, so there must always come new ones."""
        while unfinished(bench) < 6:
            number = len(job_ids)
            pause = dice.uniform(0, 0.4)
            job_ids.append(bench.add(resource=f"r{number % 7}", locks=[f"lock{dice.randrange(4)}"], sleep_s=pause))

    with bench_maker(tmp_path) as make:
        bench = make()
        bench.start()
        # Kills that hit between two runs try little: go on until enough have hit one.
        while sum(killed.values()) < FAULTS or interrupted(bench) < FAULTS // 5:
            feed()
            if dice.random() < 0.8:  # else: while things are starting
                bench.until(lambda: feed() or "client" in victims(bench), 300)
            time.sleep(dice.uniform(0, 0.5))
            choice = victims(bench)
            kind = dice.choice(sorted(choice))
            try:
                os.kill(dice.choice(choice[kind]), signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed[kind] += 1
            if kind == "engine":
                bench.engines[-1].wait()
                bench.start()
        for job_id in job_ids:
            job = bench.wait(job_id, 300)
            reason = f"seed {SEED}, {dict(killed)}: {job.error}"
            assert job.state == "done" or (job.state == "failed" and job.error and job.error["message"]), reason
            told = [outcome["what"] for outcome in bench.outcomes(job_id)]
            assert told.count("succeeded") + told.count("failed") == 1, reason
            if job.state == "done":
                assert job.result is not None, reason
        with bench.db.read() as session:
            assert session.scalar(select(func.count()).select_from(JobLock)) == 0
        bench.engines[-1].terminate()
        assert bench.engines[-1].wait(60) == 0
        bench.until(lambda: not bench.processes(), 60)
        print(f"{dict(killed)}: {len(job_ids)} jobs, {interrupted(bench)} of them interrupted")
        assert calls_out_of_turn(bench) == [], f"seed {SEED}, {dict(killed)}"
