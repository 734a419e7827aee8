"""A real engine in a process of its own, on a temporary database, with a fake service and real ansible runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import engine_fake  # (registers its actions, here as in the engine)
import pytest
from sqlalchemy import select

from api import config
from api.db.base import Base
from api.db.hosts import Host, list_hosts
from api.db.session import Database, use_database
from api.engine import actions
from api.engine.models import UNFINISHED, Job

HERE = Path(__file__).parent
REPO = HERE.parents[2]

INVENTORY = """
[compute]
h1 ansible_connection=local stratiform_tunnel_ip=10.0.0.1
h2 ansible_connection=local
far ansible_host=127.0.0.1 ansible_port=1 ansible_ssh_common_args='-o BatchMode=yes'
"""


def lay_out_project(root: Path) -> Path:
    """A deployed collection: our plugins, and the tests' own module and playbooks."""
    project = root / "collections" / "ansible_collections" / "stratiform" / "cloud"
    shutil.copytree(HERE / "collection", project)
    for kind, names in {"action": ["_request_action.py"], "callback": ["stratiform_events.py"]}.items():
        (project / "plugins" / kind).mkdir(exist_ok=True)
        for name in names:
            shutil.copy(REPO / "plugins" / kind / name, project / "plugins" / kind / name)
    shutil.copy(REPO / "galaxy.yml", project)
    shutil.copy(REPO / "ansible.cfg", project)
    return project


class Bench:
    """What a test does with an engine: start and kill it, give it jobs, wait for them."""

    def __init__(self, root: Path, extra: str = "", url: str = "") -> None:
        self.root = root
        self.project = lay_out_project(root)
        self.state = root / "state"
        self.run_dir = root / "run"
        self.log = root / "probe.log"
        (root / "inventory").write_text(INVENTORY)
        self.url = url or f"sqlite:///{root}/stratiform.db"
        self.config = root / "stratiform.toml"
        self.config.write_text(
            f'state_dir = "{self.state}"\nrun_dir = "{self.run_dir}"\n[database]\nurl = "{self.url}"\n'
            f'[engine]\nproject_dir = "{self.project}"\ninventory = "{root}/inventory"\n{extra}'
        )
        self.engines: list[subprocess.Popen[bytes]] = []
        self.db = Database(self.url)
        Base.metadata.create_all(self.db.engine)
        engine_fake.METADATA.create_all(self.db.engine)

    def start(self, config_path: Path | None = None) -> subprocess.Popen[bytes]:
        """Starts an engine."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root"), "PYTHONPATH": f"{REPO}:{HERE}",
            "STRATIFORM_CONFIG": str(config_path or self.config),
        }  # fmt: skip
        with (self.root / f"engine-{len(self.engines)}.log").open("wb") as log:
            engine = subprocess.Popen([sys.executable, str(HERE / "engine_process.py")], env=environment, stderr=log)
        self.engines.append(engine)
        return engine

    def add(self, name: str = "fake.probe", resource: str = "r1", host: str = "h1", **args: Any) -> str:
        """Stores a job that probes `host`; its id."""
        section = {key: args.pop(key) for key in ("sleep_s", "text", "message") if key in args}
        sections = args.pop("sections", {host: {"id": resource, "log": str(self.log), **section}})
        with self.db.write() as session:
            args |= {"sections": sections}
            job = actions.enqueue(session, name, resources=[("thing", resource)], request_id="req-test", args=args)
            return job.id

    def job(self, job_id: str) -> Job:
        """The job as it stands now."""
        with self.db.read() as session:
            return session.scalars(select(Job).where(Job.id == job_id)).one()

    def hosts(self, group: str | None = None) -> list[Host]:
        """The rows of hosts."""
        with self.db.read() as session:
            return list_hosts(session, group)

    def wait(self, job_id: str, timeout_s: float = 40) -> Job:
        """The job once it has ended."""
        self.until(lambda: self.job(job_id).state not in UNFINISHED, timeout_s)
        return self.job(job_id)

    def until(self, condition: Callable[[], object], timeout_s: float = 40) -> None:
        """Waits for a condition; fails with the engines' logs."""
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                logs = "\n".join(path.read_text()[-4000:] for path in sorted(self.root.glob("engine-*.log")))
                raise AssertionError(f"waited in vain; the engines said:\n{logs}")
            time.sleep(0.02)

    def calls(self) -> list[tuple[str, str, int, float]]:
        """What the module calls noted: begin or end, resource, pid, time."""
        if not self.log.exists():
            return []
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(word, name, int(pid), float(at)) for word, name, pid, at in lines]

    def began(self, resource: str = "r1") -> list[int]:
        """The pids of the calls that began for a resource."""
        return [pid for word, name, pid, _ in self.calls() if (word, name) == ("begin", resource)]

    def outcomes(self, job_id: str) -> list[dict[str, Any]]:
        """What the action was told of a job."""
        table = engine_fake.OUTCOMES
        with self.db.read() as session:
            wanted = select(table.c.told).where(table.c.job == job_id).order_by(table.c.number)
            return list(session.scalars(wanted))

    def engine_log(self) -> str:
        """What the last engine logged."""
        return (self.root / f"engine-{len(self.engines) - 1}.log").read_text()

    def processes(self) -> list[int]:
        """The processes that work for this bench: they name its folder in command line or working directory."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                named = str(self.root).encode() in (entry / "cmdline").read_bytes()
                if named or os.readlink(entry / "cwd").startswith(str(self.root)):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def stop(self) -> None:
        """Ends the engines; nothing may be left running."""
        for engine in self.engines:
            if engine.poll() is None:
                engine.send_signal(signal.SIGKILL)
            engine.wait()
        self.db.dispose()
        self.until(lambda: not self.processes())


@contextlib.contextmanager
def bench_maker(root: Path, default_url: str = "") -> Iterator[Callable[..., Bench]]:
    """Makes a bench in `root` whose settings are this process's too, and stops it in the end."""
    benches: list[Bench] = []
    with pytest.MonkeyPatch.context() as patch:

        def make(extra: str = "", url: str = "") -> Bench:
            bench = Bench(root, extra, url or default_url)
            benches.append(bench)
            patch.setenv("STRATIFORM_CONFIG", str(bench.config))
            config.settings.cache_clear()
            use_database(bench.db)
            return bench

        yield make
        for bench in benches:
            bench.stop()
    config.settings.cache_clear()
