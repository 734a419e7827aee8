"""Print what the control plane uses: memory (PSS, which counts shared pages once) and CPU at rest.

Counted are the processes of the cloud that is deployed on this very host: those that its process manager started, which
bear their unit's name in the environment (STRATIFORM_UNIT), what these started, and a supervisord that runs them.
Guests, libvirtd, dnsmasq and radvd are not the control plane; other clouds in containers here are not this one.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BUDGET_MB = 300
BUDGET_CPU_PERCENT = 1.0
PROGRAMS = {
    "stratiform-api": "API and streams",
    "stratiform-engine": "engine",
    "stratiform-haproxy": "public port (haproxy)",
    "stratiform-worker": "worker",
    "stratiform-metadata": "metadata",
    "supervisord": "supervisord",
}
"""What is counted, by unit; supervisord is there where systemd is not PID 1."""
NOT_COUNTED = ("qemu-system-x86_64", "dnsmasq", "libvirtd", "radvd")


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; `unit` is empty for one that no unit of the cloud's own started by itself."""

    pid: int
    parent: int
    command: str
    program: str
    unit: str


def pid_namespace(pid: int | str) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")


def processes() -> dict[int, Process]:
    """Every process of this host by its id, without those of containers on it."""
    found = {}
    here = pid_namespace("self")
    for name in filter(str.isdigit, os.listdir("/proc")):
        folder = Path("/proc", name)
        try:
            if pid_namespace(name) != here:
                continue
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            environment = (folder / "environ").read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is none of this user's business
        unit = re.search(rb"(?:^|\0)STRATIFORM_UNIT=([^:\0]*)", environment)
        found[int(name)] = Process(
            int(name), parent, " ".join(words).strip(), os.path.basename(words[0]), unit[1].decode() if unit else ""
        )
    return found


def members() -> dict[str, list[Process]]:
    """The processes of each program of the cloud, with what they started."""
    everything = processes()
    result: dict[str, list[Process]] = {unit: [] for unit in PROGRAMS}
    managers: dict[int, Process] = {}
    for process in everything.values():
        at: Process | None = process
        while at is not None and at.program not in NOT_COUNTED and at.unit not in PROGRAMS:
            at = everything.get(at.parent)
        if at is None or at.program in NOT_COUNTED:
            continue
        result[at.unit].append(process)
        parent = everything.get(process.parent)
        if parent is not None and "supervisord" in parent.command and not parent.unit:
            managers[parent.pid] = parent
    result["supervisord"] = list(managers.values())
    return result


def pss_kb(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def cpu_ticks(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(field) for field in fields[11:15])
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=4, help="how long to watch the CPU")
    parser.add_argument("--check", action="store_true", help="fail when a budget is exceeded")
    options = parser.parse_args()
    programs = members()
    everybody = [process.pid for found in programs.values() for process in found]
    if not everybody:
        print("No process of the control plane runs on this machine.")
        return 1
    before = cpu_ticks(everybody)
    time.sleep(options.seconds)
    cpu = (cpu_ticks(everybody) - before) / os.sysconf("SC_CLK_TCK") / options.seconds * 100
    print("\nThe control plane uses")
    total = 0.0
    for unit, found in programs.items():
        if not found and unit == "supervisord":
            continue
        memory = sum(pss_kb(process.pid) for process in found) / 1024
        total += memory
        print(f"  {PROGRAMS[unit]:<24} {memory:7.1f} MB  {len(found)} processes")
    print(
        f"  {'together':<24} {total:7.1f} MB of {BUDGET_MB} MB; "
        f"{cpu:.1f} % of a core at rest (budget {BUDGET_CPU_PERCENT:.0f} %)"
    )
    return int(options.check and (total > BUDGET_MB or cpu > BUDGET_CPU_PERCENT))


if __name__ == "__main__":
    sys.exit(main())
