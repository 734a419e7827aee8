"""The resident worker, for tests: each connection first says on which host of namespaces its modules run.

Run by the host's Python with the tree's path and the worker's own options. A connection's first line is
``{"inside": <process id or null>, "killed_after_s": <seconds or null>}``; the rest is the worker's own protocol.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from types import ModuleType

sys.path.insert(0, sys.argv.pop(1))

from ansible_collections.stratiform.cloud.plugins.worker import calls, resident  # noqa: E402

# linux/sched.h; setns(2) takes several for a process's descriptor.
CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
ORPHANS_END_S = 10.0


def enter(pid: int) -> None:
    """Enter a process's namespaces; that of processes holds for what is forked from now on. Raises OSError."""
    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(process, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to process {pid} failed")
    finally:
        os.close(process)


class Killed(ModuleType):
    """A module whose run is killed after a time in its main()."""

    def __init__(self, module: ModuleType, after_s: float) -> None:
        super().__init__(module.__name__)
        self.module = module
        self.after_s = after_s

    def main(self) -> None:
        # Without a handler the alarm ends the process at once, as SIGKILL does.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self.after_s)
        self.module.main()


class HostConnection(calls.Connection):
    """A connection whose modules run inside a test's host."""

    def serve(self) -> None:
        place = json.loads(self._first_line())
        if place["inside"] is not None:
            enter(place["inside"])
        if place["killed_after_s"] is not None:
            modules = self.worker.modules
            self.worker.modules = {name: Killed(modules[name], place["killed_after_s"]) for name in modules}
        super().serve()

    def _first_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = self.client.recv(1)
            if not byte:
                raise ConnectionError("the client hung up before its first line")
            line += byte
        return line

    def _wait(self, pid: int) -> int | None:
        """Wait for a killed module's programs too: a test that looks at the host meanwhile would see it change."""
        status = super()._wait(pid)
        deadline = time.monotonic() + ORPHANS_END_S
        while status is not None and status < 0 and time.monotonic() < deadline:
            try:
                os.killpg(pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.002)
        return status


if __name__ == "__main__":
    calls.Connection = HostConnection  # type: ignore[misc]
    resident.main()
