"""Which processes are the cloud's own: what footprint.py counts, and what the functional tests kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from scripts import footprint

# Starts a child without an environment, says its own id and the child's, and waits until its input ends.
PROGRAM = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], env={}, stdin=subprocess.PIPE)
print(os.getpid(), child.pid, flush=True)
sys.stdin.read()
child.communicate(b"\\n")
"""


@contextmanager
def program(unit: str, *prefix: str) -> Iterator[list[int]]:
    """A process of that unit and its child, as its own PID namespace numbers them."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", PROGRAM],
        env={**os.environ, "STRATIFORM_UNIT": unit}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield [int(word) for word in process.stdout.readline().split()]
    finally:
        process.communicate("")
        assert process.returncode == 0


def counted() -> set[int]:
    return {process.pid for found in footprint.members().values() for process in found}


def test_a_unit_s_processes_and_what_they_started_are_counted() -> None:
    with program("stratiform-engine:0123") as pids:
        engine = {process.pid for process in footprint.members()["stratiform-engine"]}
        assert set(pids) <= engine
        assert all(footprint.pss_kb(pid) > 0 for pid in pids)


def test_other_units_are_not_counted() -> None:
    with program("libvirtd:0123") as pids:
        assert not set(pids) & counted()


def test_a_container_s_cloud_is_not_this_host_s() -> None:
    with program("stratiform-engine:0123", "unshare", "--map-root-user", "--pid", "--fork") as inside:
        assert inside[0] < 10  # it counts from 1 in there
        everything = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        contained = {pid for pid in everything if contains(pid, b"STRATIFORM_UNIT=stratiform-engine:0123")}
        contained -= {pid for pid in contained if pid in footprint.processes()}
        assert contained
        assert not contained & counted()


def contains(pid: int, text: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return text in file.read()
    except OSError:
        return False
