"""Engines for the tests: see engine_bench."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import config
from api.db.session import use_database

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import postgres  # noqa: E402
from engine_bench import Bench, bench_maker  # noqa: E402


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each kind of database in turn; empty for the bench's own SQLite. PostgreSQL is started where it is installed."""
    if request.param == "sqlite":
        yield ""
        return
    if not postgres.available():
        pytest.skip("needs PostgreSQL's server programs, and root to start them as the user postgres")
    yield from _own_database(request)


def _own_database(request: pytest.FixtureRequest) -> Iterator[str]:
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = server.make()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="module")
def module_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """What the suite runs on, for a module's tests: empty for SQLite."""
    if postgres.chosen():
        yield from _own_database(request)
    else:
        yield ""


@pytest.fixture
def own_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """What the suite runs on, for one test."""
    if postgres.chosen():
        yield from _own_database(request)
    else:
        yield ""


@pytest.fixture
def new_bench(tmp_path: Path, own_url: str) -> Iterator[Callable[..., Bench]]:
    """Makes a bench with further settings of the section `engine`."""
    with bench_maker(tmp_path, own_url) as make:
        yield make


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory, module_url: str) -> Iterator[Bench]:
    """One engine for the tests of a module."""
    with bench_maker(tmp_path_factory.mktemp("bench"), module_url) as make:
        bench = make()
        bench.start()
        bench.until(lambda: "is ready" in bench.engine_log())
        yield bench


@pytest.fixture
def bench(shared_bench: Bench, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The module's engine, with an empty log of calls."""
    monkeypatch.setenv("STRATIFORM_CONFIG", str(shared_bench.config))
    config.settings.cache_clear()
    use_database(shared_bench.db)
    shared_bench.log = shared_bench.root / f"{abs(hash(request.node.name))}.log"
    return shared_bench
