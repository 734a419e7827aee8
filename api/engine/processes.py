"""Processes and process groups, by /proc: who lives, who belongs to a run, and how to end all of it.

A pid alone names nobody for long: it is kept together with the process's start time (proc_pid_stat(5), field 22).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_RUN_MARKS = (b"api.engine", b"warm_client", b"ansible-playbook")
"""What stands in the command line of every process that a run's own group may hold."""

_libc = ctypes.CDLL(None, use_errno=True)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()  # the name before may hold blanks and brackets


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is none (a zombie counts as none)."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Process:
    """One process, never mistaken for a later one of the same pid."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return start_ticks(self.pid) == self.started


def here() -> Process:
    """This process."""
    started = start_ticks(os.getpid())
    if started is None:
        raise OSError("/proc is not mounted: the engine needs it to tell processes apart")
    return Process(os.getpid(), started)


def boot_id() -> str:
    """The id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def owner_name() -> str:
    """The name under which this engine owns jobs: host, boot, process."""
    me = here()
    return f"{socket.gethostname()}/{boot_id()}/{me.pid}/{me.started}"


def owner_is_gone(owner: str) -> bool:
    """Whether the engine of that name certainly runs no more; false for engines of other hosts: nobody knows."""
    hostname, _, rest = owner.partition("/")
    boot, _, ids = rest.partition("/")
    pid, _, started = ids.partition("/")
    if hostname != socket.gethostname() or not pid.isdigit() or not started.isdigit():
        return False
    return boot != boot_id() or not Process(int(pid), int(started)).alive()


def end_with_parent(sign: int, parent: int) -> None:
    """Makes the kernel send this process `sign` when its parent ends (PR_SET_PDEATHSIG); at once when it has ended."""
    if _libc.prctl(_PR_SET_PDEATHSIG, sign, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), sign)


def adopt_orphans() -> None:
    """Makes this process the parent of descendants whose own parent ends, so that they can still be found."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def _table() -> dict[int, tuple[int, int, int, str]]:
    """All processes: pid -> (parent, process group, start ticks, state)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat(int(name))) is not None:
            found[int(name)] = (int(fields[1]), int(fields[2]), int(fields[19]), fields[0])
    return found


def members(group: int) -> list[Process]:
    """The living processes of a run: those of its process group, and what descends from them in groups of its own.

    Ansible puts each of its workers into a session of its own.
    """
    table = _table()
    return _with_descendants({pid for pid, (_, of_group, _, _) in table.items() if of_group == group}, table)


def _with_descendants(roots: set[int], table: dict[int, tuple[int, int, int, str]]) -> list[Process]:
    wanted = {pid for pid in roots if table[pid][3] not in "ZX"}
    grown = True
    while grown:
        children = {pid for pid, (parent, _, _, state) in table.items() if parent in wanted and state not in "ZX"}
        grown = not children <= wanted
        wanted |= children
    return [Process(pid, table[pid][2]) for pid in sorted(wanted) if not _is_shared(pid)]


def end_descendants() -> None:
    """SIGKILLs all that this process and its descendants have started, but for itself."""
    table = _table()
    me = os.getpid()
    of_me = _with_descendants({pid for pid, (parent, _, _, _) in table.items() if parent == me}, table)
    send(of_me, signal.SIGKILL)


def children(parent: int) -> list[int]:
    """The children of a process that belong to no other run."""
    return [pid for pid, (of, _, _, state) in _table().items() if of == parent and state != "Z" and not _is_shared(pid)]


def _is_shared(pid: int) -> bool:
    """Whether this is SSH's connection master, which stays for the next runs (ssh_config(5), ControlPersist)."""
    return _command(pid).startswith(b"ssh: ")


def send(processes: Iterable[Process], sign: int) -> None:
    """Signals those that still run."""
    for process in processes:
        if process.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, sign)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_of_a_run(pid: int) -> bool:
    return any(mark in _command(pid) for mark in _RUN_MARKS)


def end_group(leader: Process, patience_s: float = 2.0) -> bool:
    """SIGKILLs what is left of a run whose engine is gone, and waits for its end; whether nothing is left.

    The leader may have ended before its group. The number then can only have been given anew once the group was empty,
    so members that started before the leader, or are not of our making, are someone else's.
    """
    until = time.monotonic() + patience_s
    while True:
        now_leading = start_ticks(leader.pid)
        if now_leading is not None and now_leading != leader.started:
            return True
        left = [process for process in members(leader.pid) if process.started >= leader.started]
        if not left or not (now_leading or any(_is_of_a_run(process.pid) for process in left)):
            return True
        send(left, signal.SIGKILL)
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
