"""What a host says of itself in every heartbeat: capacity, load, and which hypervisor it has."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.compute import virtualization

GIB = 1024**3


def static_facts() -> dict[str, Any]:
    """Facts that hold until the next boot. Takes seconds when the kind of virtualisation is not known yet."""
    has_qemu = shutil.which(virtualization.QEMU) is not None
    with open(virtualization.BOOT_ID_PATH, encoding="ascii") as file:
        boot_id = file.read().strip()
    return {
        "vcpus": os.cpu_count(),
        "memory_mb": _meminfo()["MemTotal"] // 1024,
        "cpu_info": cpu_info(),
        "boot_id": boot_id,
        "virt_type": virtualization.virt_type() if has_qemu else "qemu",
    }


def current_facts(state_dir: str) -> dict[str, Any]:
    """Facts that change by the minute. Disk figures are of the file system that holds the guests' disks."""
    memory = _meminfo()
    path = state_dir
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    disk = os.statvfs(path)
    with open("/proc/uptime", encoding="ascii") as file:
        uptime_s = int(float(file.read().split()[0]))
    return {
        "memory_mb_used": (memory["MemTotal"] - memory["MemAvailable"]) // 1024,
        "disk_gb": disk.f_blocks * disk.f_frsize // GIB,
        "disk_free_gb": disk.f_bavail * disk.f_frsize // GIB,
        "uptime_s": uptime_s,
    }


def cpu_info() -> dict[str, Any]:
    """The processor as the compute API's hypervisor resource shows it."""
    processors: list[dict[str, str]] = [{}]
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, separator, value = line.partition(":")
            if separator:
                processors[-1][key.strip()] = value.strip()
            elif processors[-1]:
                processors.append({})
    known = [processor for processor in processors if processor] or [{}]
    sockets = len({processor.get("physical id", "0") for processor in known})
    cores = int(known[0].get("cpu cores", "1"))
    return {
        "arch": os.uname().machine,
        "model": known[0].get("model name", "unknown"),
        "vendor": known[0].get("vendor_id", "unknown"),
        "topology": {"sockets": sockets, "cores": cores, "threads": max(1, len(known) // (sockets * cores))},
        "features": sorted(known[0].get("flags", "").split()),
    }


def _meminfo() -> dict[str, int]:
    """/proc/meminfo in KiB."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return {line.partition(":")[0]: int(line.split()[1]) for line in file}
