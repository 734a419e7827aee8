"""Which jobs run when: per-resource order, locks, limits, cancellation, deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.engine import actions

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine_bench import Bench


def overlap(bench: Bench, one: str, other: str) -> bool:
    """Whether the calls for two resources ran at the same time."""
    times = {(word, name): at for word, name, _, at in bench.calls()}
    return times["begin", one] < times["end", other] and times["begin", other] < times["end", one]


def test_one_resources_jobs_run_in_order(bench: Bench) -> None:
    jobs = []
    for name, pause in {"a": 0.4, "b": 0.2, "c": 0}.items():
        section = {"id": name, "log": str(bench.log), "sleep_s": pause}
        jobs.append(bench.add(resource="same", sections={"h1": section}))
    assert [bench.wait(job).state for job in jobs] == ["done"] * 3
    words = [(word, name) for word, name, _, _ in bench.calls()]
    assert words == [(word, name) for name in "abc" for word in ("begin", "end")]


def test_locks_exclude_and_all_else_runs_side_by_side(bench: Bench) -> None:
    first = bench.add(resource="a", locks=["filter@h1"], sleep_s=0.8)
    second = bench.add(resource="b", locks=["filter@h1", "router:1"], sleep_s=0.1)
    third = bench.add(resource="c", locks=["router:1"], sleep_s=0.1)
    free = bench.add(resource="d", sleep_s=0.8)
    assert [bench.wait(job).state for job in (first, second, third, free)] == ["done"] * 4
    assert overlap(bench, "a", "d")
    begun = [name for word, name, _, _ in bench.calls() if word == "begin" and name != "d"]
    assert begun == ["a", "b", "c"]  # c's lock was free, but b had waited longer for it
    assert not overlap(bench, "a", "b")
    assert not overlap(bench, "b", "c")


def test_a_busy_host_delays_only_its_own(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench("concurrency = 3\nper_host = 1\n")
    bench.start()
    slow = [bench.add(resource=f"slow{number}", sleep_s=0.8) for number in range(3)]
    other = bench.add(resource="other", host="h2")
    assert bench.wait(other).state == "done"
    assert bench.job(slow[2]).state == "running"
    assert [bench.wait(job).state for job in slow] == ["done"] * 3
    assert not overlap(bench, "slow0", "slow1")
    assert not overlap(bench, "slow1", "slow2")


def test_a_query_goes_first(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench("concurrency = 1\n")
    waiting = [bench.add(resource=f"w{number}", sleep_s=0.1) for number in range(3)]
    query = bench.add("fake.query", resource="q")
    bench.start()
    assert [bench.wait(job).state for job in (query, *waiting)] == ["done"] * 4
    assert [name for word, name, _, _ in bench.calls() if word == "begin"] == ["q", "w0", "w1", "w2"]


def test_cancel_ends_a_run_at_once_and_a_waiting_job_too(bench: Bench) -> None:
    running = bench.add(sleep_s=30)
    waiting = bench.add(sleep_s=30)
    bench.until(bench.began)
    [pid] = bench.began()
    for job_id in (waiting, running):
        with bench.db.write() as session:
            assert actions.cancel(session, job_id)
    for job_id in (running, waiting):
        job = bench.wait(job_id, 1.5)
        assert job.state == "cancelled"
        assert job.error["kind"] == "cancelled"
        assert bench.outcomes(job_id)[-1]["kind"] == "cancelled"
    bench.until(lambda: not alive(pid), 1)
    assert len(bench.began()) == 1
    with bench.db.write() as session:
        assert not actions.cancel(session, running)


def test_deadlines_end_runs_and_waiting_jobs(bench: Bench) -> None:
    running = bench.add("fake.short", sleep_s=30)
    waiting = bench.add("fake.short", sleep_s=30)
    for job_id in (running, waiting):
        job = bench.wait(job_id, 12)
        assert job.state == "failed"
        assert job.error["kind"] == "timeout"
        assert (job.finished_at - job.deadline_at).total_seconds() < 1.5
    [pid] = bench.began()
    bench.until(lambda: not alive(pid), 1)


def alive(pid: int) -> bool:
    """Whether that process runs."""
    from api.engine.processes import start_ticks

    return start_ticks(pid) is not None
