"""Starts runs and ends them: in the warm process while there is one, else cold by a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import api
from api.config import settings
from api.engine import processes, runner
from api.engine.processes import Process
from api.engine.runner import EVENTS, REQUEST, RESULTS, RUN, Spec

PATIENCE_S = 0.5
"""Between the polite signal and SIGKILL."""


def jobs_dir() -> Path:
    """The folder of all jobs' folders."""
    return settings().state_dir / "jobs"


def write_private(path: Path, data: bytes) -> None:
    """Writes a file that only we can read, anew."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def prepare(job_id: str, request_id: str, action: str, number: int, hosts: dict[str, dict[str, Any]]) -> int:
    """Lays out the job's folder with its request document; where this run's events will begin in their file.

    The job's number goes into each section as its generation.
    """

    def stamped(section: Any) -> Any:
        if isinstance(section, list):
            return [stamped(item) for item in section]
        return {**section, "generation": number}

    sections = {host: {name: stamped(section) for name, section in modules.items()} for host, modules in hosts.items()}
    document = {
        "job": job_id, "request_id": request_id, "action": action, "generation": number, "hosts": sections
    }  # fmt: skip
    folder = jobs_dir() / job_id
    folder.mkdir(mode=0o710, exist_ok=True)  # the group's: the streams process reads the events, by their path
    write_private(folder / REQUEST, json.dumps(document).encode())
    (folder / RESULTS).unlink(missing_ok=True)
    events = folder / EVENTS
    return events.stat().st_size if events.exists() else 0


class Run:
    """A run under way. `fileno()` turns readable when `poll()` has news."""

    def __init__(self, job_dir: Path, source: socket.socket | subprocess.Popen[bytes]) -> None:
        self.leader: Process | None = None
        self._job_dir = job_dir
        self._source = source
        self._pidfd = -1
        self._signalled: list[Process] = []
        self._kill_at: float | None = None
        if isinstance(source, subprocess.Popen):
            self._pidfd = os.pidfd_open(source.pid)
            self._know(Process(source.pid, processes.start_ticks(source.pid) or 0))

    def fileno(self) -> int:
        """What to wait for."""
        return self._pidfd if isinstance(self._source, subprocess.Popen) else self._source.fileno()

    def _know(self, leader: Process) -> None:
        self.leader = leader
        record = {"pid": leader.pid, "started": leader.started, "boot_id": processes.boot_id()}
        write_private(self._job_dir / RUN, json.dumps(record).encode())

    def poll(self) -> int | None:
        """The exit code once the run is over (137 also when the warm process went away), else None."""
        if isinstance(self._source, subprocess.Popen):
            return self._source.poll()
        try:
            answer = self._source.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            answer = b""
        news = json.loads(answer) if answer else {"code": 137}
        if "pid" in news:
            self._know(Process(news["pid"], news["started"] or 0))
            return None
        return int(news["code"])

    def end(self) -> None:
        """Asks the run's processes to end; `press()` is to be called at `press_at`."""
        if self.leader is None:  # its process is not known yet: the warm process ends what nobody waits for
            if isinstance(self._source, socket.socket):
                self._source.shutdown(socket.SHUT_RDWR)
            return
        self._signalled = processes.members(self.leader.pid)
        processes.send(self._signalled, signal.SIGTERM)
        self._kill_at = time.monotonic() + PATIENCE_S

    @property
    def press_at(self) -> float | None:
        """When patience ends (time.monotonic), or None."""
        return self._kill_at

    def press(self) -> None:
        """SIGKILLs whatever has not followed `end()`."""
        self._kill_at = None
        if self.leader is not None:
            processes.send({*self._signalled, *processes.members(self.leader.pid)}, signal.SIGKILL)

    def close(self) -> None:
        """Forgets a run that is over; nothing of it stays."""
        if self._signalled:
            processes.send(self._signalled, signal.SIGKILL)
        if self._pidfd >= 0:
            os.close(self._pidfd)
        if isinstance(self._source, socket.socket):
            self._source.close()
        (self._job_dir / RUN).unlink(missing_ok=True)


@dataclass(frozen=True)
class Launcher:
    """Knows where runs take place."""

    project_dir: str
    inventory: str

    def spec(self, job_id: str, request_id: str, playbook: str, hosts: list[str]) -> Spec:
        """What to run for a job."""
        return Spec(str(jobs_dir() / job_id), self.project_dir, self.inventory, playbook, hosts, request_id)

    def environment(self) -> dict[str, str]:
        """The environment of every process that Ansible runs in."""
        variables = runner.environment(self.project_dir, settings().state_dir / "ansible", settings().run_dir)
        return variables | {"PYTHONPATH": str(Path(api.__file__).parents[1])}

    def warm(self, path: Path, spec: Spec) -> Run:
        """Starts a run in the warm process that listens on `path`; OSError when it is gone."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.connect(str(path))
            connection.send(b"run\0" + spec.dumps())
        except OSError:
            connection.close()
            raise
        return Run(Path(spec.job_dir), connection)

    def cold(self, spec: Spec) -> Run:
        """Starts a run by itself."""
        process = subprocess.Popen(
            [sys.executable, "-m", "api.engine.runner", spec.dumps().decode(), str(os.getpid())],
            env=self.environment(), cwd=self.project_dir, process_group=0,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return Run(Path(spec.job_dir), process)


def end_former(job_id: str) -> bool:
    """Ends what may still run of a job whose engine is gone; whether nothing of it is left."""
    try:
        record = json.loads((jobs_dir() / job_id / RUN).read_bytes())
    except (FileNotFoundError, ValueError):
        return True
    if record["boot_id"] != processes.boot_id():
        return True
    return processes.end_group(Process(record["pid"], record["started"]))


def forget_old(retention_s: float) -> int:
    """Removes the folders of jobs that ended longer ago; how many."""
    count = 0
    horizon = time.time() - retention_s
    for entry in os.scandir(jobs_dir()):
        if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < horizon:
            shutil.rmtree(entry.path, ignore_errors=True)
            count += 1
    return count
