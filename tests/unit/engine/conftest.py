"""Engines for the tests: see engine_bench."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import config
from api.db.session import use_database

sys.path.insert(0, str(Path(__file__).parent))

from engine_bench import Bench, bench_maker  # noqa: E402

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each kind of database in turn; empty for the bench's own SQLite. PostgreSQL is started where it is installed."""
    if request.param == "sqlite":
        yield ""
        return
    if not POSTGRES or os.geteuid() != 0:
        pytest.skip("needs PostgreSQL's server programs, and root to start them as the user postgres")
    with tempfile.TemporaryDirectory(prefix="stratiform-pg-") as folder:
        shutil.chown(folder, "postgres", "postgres")
        owner = pwd.getpwnam("postgres")

        def call(*command: str) -> None:
            subprocess.run(
                command, user=owner.pw_uid, group=owner.pw_gid, extra_groups=[], cwd="/", check=True, timeout=60,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

        data = f"{folder}/data"
        call(str(POSTGRES[0] / "initdb"), "-D", data, "-A", "trust", "-N")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        call(str(POSTGRES[0] / "pg_ctl"), "-D", data, "-o", options, "-w", "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        finally:
            call(str(POSTGRES[0] / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


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
