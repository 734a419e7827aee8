"""Engines for the tests: see engine_bench."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import config
from api.db.session import use_database

sys.path.insert(0, str(Path(__file__).parent))

from engine_bench import Bench, bench_maker  # noqa: E402


@pytest.fixture
def new_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes a bench with further settings of the section `engine`."""
    with bench_maker(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One engine for the tests of a module."""
    with bench_maker(tmp_path_factory.mktemp("bench")) as make:
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
