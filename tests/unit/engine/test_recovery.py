"""Nothing is lost when a process is killed, and nothing runs twice at once."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from api.engine.models import JobLock
from api.engine.processes import start_ticks

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine_bench import Bench


def pids_of(bench: Bench, *words: str) -> list[int]:
    """Processes of this bench whose command line holds all the words."""
    found = []
    for pid in bench.processes():
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read().decode()
        if all(word in command for word in words):
            found.append(pid)
    return sorted(found)


def begin(bench: Bench, **args: object) -> tuple[str, int]:
    """A job whose module has begun: its id and the module's pid."""
    job_id = bench.add(locks=["filter@h1"], **args)  # type: ignore[arg-type]
    bench.until(bench.began)
    return job_id, bench.began()[0]


def ended_after_all(bench: Bench, job_id: str, first_pid: int) -> None:
    """The job was run again, its former run does not run any more, and its locks are free."""
    job = bench.wait(job_id)
    assert job.state == "done", bench.engine_log()
    assert job.attempts == 2
    assert start_ticks(first_pid) is None
    times = [(word, pid, at) for word, _, pid, at in bench.calls()]
    assert [word for word, _, _ in times].count("end") == 1, "the former run went on beside the new one"
    with bench.db.read() as session:
        assert session.scalar(select(func.count()).select_from(JobLock)) == 0


def test_a_killed_engine_leaves_its_job_to_the_next(bench: Bench) -> None:
    job_id, pid = begin(bench, sleep_s=1.5)
    bench.engines[-1].kill()
    bench.engines[-1].wait()
    bench.until(lambda: start_ticks(pid) is None, 2)
    bench.start()
    ended_after_all(bench, job_id, pid)
    assert [outcome["what"] for outcome in bench.outcomes(job_id)] == ["started", "started", "succeeded"]


def test_a_killed_warm_process_is_replaced_and_the_job_run_again(bench: Bench) -> None:
    job_id, pid = begin(bench, sleep_s=1.5)
    warm = min(pids_of(bench, "api.engine.warm"))
    os.kill(warm, signal.SIGKILL)
    ended_after_all(bench, job_id, pid)


@pytest.mark.parametrize("which", ["client", "first fork", "last fork"])
def test_a_killed_playbook_is_run_again(bench: Bench, which: str) -> None:
    job_id, pid = begin(bench, sleep_s=1.5)
    forks = pids_of(bench, "api.engine.warm")[1:]
    victim = {"client": pids_of(bench, "warm_client")[0], "first fork": forks[0], "last fork": forks[-1]}[which]
    os.kill(victim, signal.SIGKILL)
    ended_after_all(bench, job_id, pid)


def test_without_a_warm_process_runs_are_cold(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    (bench.root / "inventory").write_text("h1 ansible_connection=local\n[broken\n")
    bench.start()
    bench.until(lambda: "the warm process did not start" in bench.engine_log())
    (bench.root / "inventory").write_text("h1 ansible_connection=local\n")
    job_id = bench.add(sleep_s=1)
    bench.until(bench.began)
    assert pids_of(bench, "api.engine.runner")
    job = bench.wait(job_id)
    assert job.state == "done"
    assert job.steps[0]["name"] == "Probe the host"


def test_two_engines_on_one_database_run_each_job_once(database_url: str, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(url=database_url)
    other = bench.root / "other.toml"
    other.write_text(bench.config.read_text().replace(f'"{bench.run_dir}"', f'"{bench.root}/run2"'))
    jobs = [bench.add(resource=f"r{number}", locks=[f"lock{number % 3}"]) for number in range(12)]
    bench.start()
    bench.start(other)
    assert [bench.wait(job, 30).state for job in jobs] == ["done"] * 12
    assert sorted(name for word, name, _, _ in bench.calls() if word == "begin") == sorted(f"r{n}" for n in range(12))
    assert {bench.job(job).attempts for job in jobs} == {1}


def test_an_engine_asked_to_end_lets_runs_finish(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    bench.start()
    job_id, _ = begin(bench, sleep_s=0.5)
    bench.engines[0].terminate()
    assert bench.engines[0].wait(10) == 0
    assert bench.job(job_id).state == "done"
    assert not (bench.run_dir / "engine.sock").exists()
    assert not list(bench.run_dir.glob("warm-*"))
