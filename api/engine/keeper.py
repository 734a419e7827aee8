"""Keeps a warm process running, and replaces it when the inventory or the code that it holds has changed."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from api.config import settings
from api.engine.launch import Launcher
from api.engine.metrics import METRICS

READY_WITHIN_S = 30.0
RETRY_AFTER_S = 5.0
"""Before another attempt when a warm process could not start; runs are cold meanwhile."""
log = logging.getLogger("stratiform.engine")

Hosts = dict[str, dict[str, Any]]


class Keeper:
    """One warm process that serves, and perhaps a new one that is starting."""

    def __init__(self, launcher: Launcher, selector: selectors.BaseSelector) -> None:
        self.launcher = launcher
        self._selector = selector
        self.path: Path | None = None
        """Where the warm process listens; None while there is none."""
        self.hosts: Hosts = {}
        self._serving: subprocess.Popen[bytes] | None = None
        self._starting: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._retry_at = 0.0
        self._retired: list[subprocess.Popen[bytes]] = []
        self._signature: int | None = None
        self._count = 0

    @property
    def may_come(self) -> bool:
        """Whether a warm process is about to listen, so that waiting is better than a cold run."""
        return self._starting is not None

    def step(self, *, look: bool) -> bool:
        """Follows what the processes do; with `look` also whether files changed. True when hosts were read anew."""
        self._retired = [process for process in self._retired if process.poll() is None]
        if self._serving is not None and self._serving.poll() is not None:
            log.warning("the warm process ended (%s); starting another", self._serving.returncode)
            self._forget_serving()
        starting = self._starting
        fresh = starting is not None and self._see_start(starting)
        if not self.may_come and time.monotonic() >= self._retry_at:
            signature = self._look() if look or self.path is None else self._signature
            if self.path is None or signature != self._signature:
                self._signature = signature
                self._start()
        return fresh

    def _start(self) -> None:
        self._count += 1
        path = self._socket_path(self._count)
        path.unlink(missing_ok=True)
        launcher = self.launcher
        self._starting = subprocess.Popen(
            [sys.executable, "-m", "api.engine.warm", str(path), launcher.project_dir, launcher.inventory,
             str(os.getpid())],
            env=launcher.environment(), cwd=launcher.project_dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._selector.register(_pipe(self._starting), selectors.EVENT_READ, lambda: None)  # wakes the loop for step()
        self._started_at = time.monotonic()

    def _socket_path(self, number: int) -> Path:
        return settings().run_dir / f"warm-{os.getpid()}-{number}.sock"

    def _see_start(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the starting process is ready; it then serves in the old one's place."""
        pipe = _pipe(process).fileno()
        os.set_blocking(pipe, False)
        try:
            said = os.read(pipe, 64)
        except BlockingIOError:
            if time.monotonic() - self._started_at < READY_WITHIN_S:
                return False
            said = b""
        path = self._socket_path(self._count)
        hosts = _ask_hosts(path) if said else None
        self._starting = None
        if hosts is None:
            self._end(process)
            path.unlink(missing_ok=True)
            self._retry_at = time.monotonic() + RETRY_AFTER_S
            log.error("the warm process did not start (%s): check the inventory; trying again", process.returncode)
            return False
        if self._serving is not None:
            self._close_pipe(self._serving)
            self._serving.send_signal(signal.SIGTERM)  # it ends with its last run
            self._retired.append(self._serving)
        self._serving, self.path, self.hosts = process, path, hosts
        METRICS.warm_starts += 1
        log.info("warm process %d is ready, %d hosts", process.pid, len(hosts))
        return True

    def _forget_serving(self) -> None:
        if self._serving is not None:
            self._close_pipe(self._serving)
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self._serving = self.path = None

    def _look(self) -> int:
        """A number that changes when a file of the inventory or of the loaded code changes."""
        project = Path(self.launcher.project_dir)
        inventory = Path(self.launcher.inventory)
        own = [Path(__file__).with_name(name) for name in ("warm.py", "warm_ansible.py", "runner.py")]
        roots = [inventory, project / "plugins", project / "ansible.cfg", *own]
        if inventory.is_file():
            roots += [inventory.parent / "host_vars", inventory.parent / "group_vars"]
        return hash(tuple(stamp for root in roots for stamp in _stamps(str(root))))

    def stop(self) -> None:
        """Ends the processes at once."""
        for process in (self._serving, self._starting, *self._retired):
            if process is not None:
                self._end(process)
        self._starting = self._serving = None
        self._forget_serving()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        self._close_pipe(process)

    def _close_pipe(self, process: subprocess.Popen[bytes]) -> None:
        pipe = _pipe(process)
        if not pipe.closed:
            self._selector.unregister(pipe)
            pipe.close()


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise TypeError("the warm process was started without a pipe")
    return process.stdout


def _stamps(root: str) -> Iterator[tuple[str, int, int]]:
    """Path, time and size of a file, or of all files below a folder (whose own time changes with every `.pyc`)."""
    try:
        if os.path.isdir(root):
            for name in sorted(os.listdir(root)):
                if name != "__pycache__":
                    yield from _stamps(os.path.join(root, name))
        else:
            status = os.stat(root)
            yield root, status.st_mtime_ns, status.st_size
    except FileNotFoundError:
        return  # gone between two looks: its absence is what changes the sum


def _ask_hosts(path: Path) -> Hosts | None:
    """The inventory as the warm process loaded it; None when it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(READY_WITHIN_S)
        try:
            connection.connect(str(path))
            connection.send(b"inventory\0")
            _, descriptors, _, _ = socket.recv_fds(connection, 64, 1)
        except OSError:
            return None
    if not descriptors:
        return None
    with os.fdopen(descriptors[0], "rb") as file:
        file.seek(0)
        hosts: Hosts = json.loads(file.read())
        return hosts
