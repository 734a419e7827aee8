"""Daemons that a module starts and that outlive it: found again by their command line, ended without a race."""

from __future__ import annotations

import contextlib
import os
import select
import signal

from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import read_file

_STOP_S = 5


def running(program: str, pid_path: str, argument: str) -> tuple[int, str] | None:
    """The process id and the whole of the argument that begins with ``argument``; None when no such process runs.

    Looked up by command line when the pid file is gone or lies, so that no second one is started beside it.
    """
    known = (read_file(pid_path) or "").strip()
    if known.isdecimal() and (found := _argument_of(int(known), program, argument)):
        return int(known), found
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal() and (found := _argument_of(int(entry.name), program, argument)):
            return int(entry.name), found
    return None


def _argument_of(pid: int, program: str, argument: str) -> str | None:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if not os.path.basename(words[0]).startswith(program):
        return None
    return next((word for word in words if word.startswith(argument)), None)


def stop(pid: int) -> None:
    """End a process and wait for its end, so that its ports and files are free."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(process, signal.SIGTERM)
            poller = select.poll()
            poller.register(process, select.POLLIN)
            if not poller.poll(_STOP_S * 1000):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                poller.poll(_STOP_S * 1000)
        finally:
            os.close(process)
