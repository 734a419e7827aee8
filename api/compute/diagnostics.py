"""What a host tells of a guest, as Nova shows it: one shape of all hypervisors from 2.48 on, libvirt's own before."""

from __future__ import annotations

from typing import Any

from api.compute.versions import Version

_BALLOON = ("actual", "rss", "swap_in", "swap_out", "major_fault", "minor_fault", "unused", "available", "usable")


def shown(figures: dict[str, Any], version: Version) -> dict[str, Any]:
    """Figures of the module guest_diagnostics at a microversion."""
    return _common(figures) if version >= (2, 48) else _of_libvirt(figures)


def _common(figures: dict[str, Any]) -> dict[str, Any]:
    """2.48: times in nanoseconds, memory in MiB, the rest in bytes."""
    return {
        "state": figures["state"], "driver": "libvirt", "hypervisor": figures["hypervisor"],
        "hypervisor_os": figures["hypervisor_os"], "uptime": figures["uptime_s"],
        "config_drive": figures["config_drive"], "num_cpus": len(figures["cpus"]), "num_nics": len(figures["nics"]),
        "num_disks": len(figures["disks"]),
        "cpu_details": [{"id": cpu["id"], "time": cpu["time_ns"], "utilisation": None} for cpu in figures["cpus"]],
        "disk_details": [
            {"read_bytes": disk["read_bytes"], "read_requests": disk["read_requests"], "write_bytes":
             disk["write_bytes"], "write_requests": disk["write_requests"], "errors_count": disk["errors"]}
            for disk in figures["disks"]
        ],
        "nic_details": [
            {"mac_address": nic["mac"], "rx_octets": nic["rx_bytes"], "rx_errors": nic["rx_errors"],
             "rx_drop": nic["rx_drop"], "rx_packets": nic["rx_packets"], "rx_rate": None,
             "tx_octets": nic["tx_bytes"], "tx_errors": nic["tx_errors"], "tx_drop": nic["tx_drop"],
             "tx_packets": nic["tx_packets"], "tx_rate": None}
            for nic in figures["nics"]
        ],
        "memory_details": {"maximum": figures["memory_kib"] // 1024, "used": _used_mb(figures)},
    }  # fmt: skip


def _used_mb(figures: dict[str, Any]) -> int:
    stats = figures["memory_stats_kib"]
    used = stats["available"] - stats["unused"] if {"available", "unused"} <= set(stats) else figures["memory_kib"]
    return int(used) // 1024


def _of_libvirt(figures: dict[str, Any]) -> dict[str, Any]:
    """Until 2.47: a flat object with libvirt's names, memory in KiB."""
    body: dict[str, Any] = {f"cpu{cpu['id']}_time": cpu["time_ns"] for cpu in figures["cpus"]}
    for disk in figures["disks"]:
        name = disk["target"]
        body |= {f"{name}_read_req": disk["read_requests"], f"{name}_read": disk["read_bytes"],
                 f"{name}_write_req": disk["write_requests"], f"{name}_write": disk["write_bytes"],
                 f"{name}_errors": disk["errors"]}  # fmt: skip
    for nic in figures["nics"]:
        name = nic["target"]
        body |= {f"{name}_{way}{'' if what == 'bytes' else f'_{what}'}": nic[f"{way}_{what}"]
                 for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "drop")}  # fmt: skip
    body["memory"] = figures["memory_kib"]
    stats = figures["memory_stats_kib"]
    return body | {f"memory-{name}": stats[name] for name in _BALLOON if name in stats}
