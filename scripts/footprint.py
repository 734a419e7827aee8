"""Print what the control plane uses: memory (PSS, which counts shared pages once) and CPU at rest."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path

BUDGET_MB = 300
BUDGET_CPU_PERCENT = 1.0
# Programs of ours by a part of their command line; what they started belongs to them, but not guests or dnsmasq.
PROGRAMS = {
    "API and streams": "/etc/stratiform/uwsgi.ini",
    "engine": "-m api engine",
    "public port (haproxy)": "/etc/stratiform/haproxy.cfg",
    "worker": "plugins/worker/resident.py",
    "metadata": "plugins/worker/metadata_agent.py",
}
NOT_OURS = re.compile(r"qemu-system|dnsmasq|libvirtd")


def processes() -> dict[int, tuple[int, str]]:
    """Every process: its parent and its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            found[int(entry.name)] = (
                parent,
                entry.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
            )
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return found


def members() -> dict[str, list[int]]:
    """The process ids of each program, with what it started."""
    everything = processes()
    result: dict[str, list[int]] = {name: [] for name in PROGRAMS}
    for pid in everything:
        at = pid
        while at in everything and not NOT_OURS.search(everything[at][1]):
            name = next((name for name, part in PROGRAMS.items() if part in everything[at][1]), None)
            if name is not None:
                result[name].append(pid)
                break
            at = everything[at][0]
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="how long to watch the CPU")
    parser.add_argument("--check", action="store_true", help="fail when a budget is exceeded")
    options = parser.parse_args()
    programs = members()
    everybody = [pid for pids in programs.values() for pid in pids]
    if not everybody:
        print("No process of the control plane runs on this machine.")
        return 1
    before = cpu_ticks(everybody)
    time.sleep(options.seconds)
    cpu = (cpu_ticks(everybody) - before) / os.sysconf("SC_CLK_TCK") / options.seconds * 100
    print("\nThe control plane uses")
    total = 0.0
    for name, pids in programs.items():
        memory = sum(map(pss_kb, pids)) / 1024
        total += memory
        print(f"  {name:<24} {memory:7.1f} MB  {len(pids)} processes")
    print(
        f"  {'together':<24} {total:7.1f} MB of {BUDGET_MB} MB; "
        f"{cpu:.1f} % of a core at rest (budget {BUDGET_CPU_PERCENT:.0f} %)"
    )
    return int(options.check and (total > BUDGET_MB or cpu > BUDGET_CPU_PERCENT))


if __name__ == "__main__":
    sys.exit(main())
