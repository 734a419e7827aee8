"""PostgreSQL: engines side by side wake each other, share hosts' limits, and let one of them observe."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import postgres
import psycopg
import pytest

from api.engine import actions
from api.engine.sentinel import Sentinel

if TYPE_CHECKING:
    from engine_bench import Bench

LEADS = "this engine observes the hosts"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A PostgreSQL database of its own."""
    if not postgres.available():
        pytest.skip("needs PostgreSQL's server programs, and root to start them as the user postgres")
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = server.make()
    yield server.url(name)
    server.drop(name)


def second(bench: Bench) -> Path:
    """The configuration of an engine with a run directory of its own, as on another host."""
    path = bench.root / "other.toml"
    path.write_text(bench.config.read_text().replace(f'"{bench.run_dir}"', f'"{bench.root}/run2"'))
    return path


def log_of(bench: Bench, number: int) -> str:
    return (bench.root / f"engine-{number}.log").read_text()


def test_a_hosts_limit_holds_over_all_engines(url: str, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench("per_host = 1\n", url=url)
    jobs = [bench.add(resource=f"r{number}", sleep_s=0.2) for number in range(6)]
    bench.start()
    bench.start(second(bench))
    assert [bench.wait(job, 120).state for job in jobs] == ["done"] * 6
    running = 0
    for word, _, _, _ in sorted(bench.calls(), key=lambda call: call[3]):
        running += 1 if word == "begin" else -1
        assert running <= 1
    assert {bench.job(job).attempts for job in jobs} == {1}


def test_one_engine_observes_and_another_takes_its_place(url: str, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(url=url)
    bench.start()
    bench.until(lambda: LEADS in log_of(bench, 0))
    bench.start(second(bench))
    bench.until(lambda: "is ready" in log_of(bench, 1))
    assert {host.name for host in bench.hosts()} == {"h1", "h2", "far"}
    assert LEADS not in log_of(bench, 1)
    bench.engines[0].kill()
    bench.engines[0].wait()
    bench.until(lambda: LEADS in log_of(bench, 1))


def test_commits_wake_engines_on_other_hosts(url: str, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(url=url)
    heard: list[int] = []
    with selectors.DefaultSelector() as selector:
        sentinel = Sentinel(url, selector, lambda: heard.append(1))
        sentinel.step()
        assert sentinel.leads
        other = Sentinel(url, selector, lambda: None)
        other.step()
        assert not other.leads
        heard.clear()

        def listen(within_s: float) -> None:
            for key, _ in selector.select(within_s):
                key.data()

        def hear() -> None:
            bench.until(lambda: listen(0.1) or heard)
            heard.clear()

        with pytest.raises(RuntimeError), bench.db.write() as session:
            actions.enqueue(session, "fake.probe", resources=[("thing", "r")], request_id="req-1", args={})
            raise RuntimeError
        listen(0.3)
        assert heard == []
        job_id = bench.add()
        hear()
        with bench.db.write() as session:
            assert actions.cancel(session, job_id)
        hear()
        with psycopg.connect(host=url.partition("host=")[2], user="postgres", autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stratiform-engine'"
            )
        bench.until(lambda: not sentinel.leads or sentinel.step())  # it finds out
        bench.until(lambda: other.step() or sentinel.step() or sentinel.leads or other.leads)
        heard.clear()
        bench.add(resource="again")
        hear()
        for one in (sentinel, other):
            one.close()
