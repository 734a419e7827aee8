"""What is asked of one running guest: its figures, and a new password by its agent."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import libvirt
from ansible_collections.stratiform.cloud.plugins.module_utils.compute import session, states

_NO_AGENT = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED, libvirt.VIR_ERR_OPERATION_INVALID)


class QueryFailed(Exception):
    """The guest gives no answer. The text is a sentence that says what to do."""


def set_password(server_id: str, user: str, password: str) -> None:
    """Have the guest's agent set a user's password; raises QueryFailed when no agent answers."""
    connection = _connect()
    try:
        try:
            _find(connection, server_id).setUserPassword(user, password, 0)
        except libvirt.libvirtError as error:
            words = (error.get_error_message() or "no reason").strip().rstrip(".")
            if error.get_error_code() in _NO_AGENT:
                raise QueryFailed(
                    f"QEMU's guest agent does not answer in the guest ({words}): install and start it there."
                ) from error
            raise QueryFailed(f"The guest's agent refused ({words}): see that the user exists in the guest.") from error
    finally:
        connection.close()


def diagnostics(server_id: str) -> dict[str, Any]:
    """Figures of a guest: times in nanoseconds, memory in KiB, the rest in bytes and requests."""
    connection = _connect()
    try:
        domain = _find(connection, server_id)
        try:
            return _figures(connection, domain)
        except libvirt.libvirtError as error:
            raise QueryFailed(session.sentence(error, server_id)) from error
    finally:
        connection.close()


def _connect() -> Any:
    try:
        return session.connect()
    except libvirt.libvirtError as error:
        words = error.get_error_message()
        raise QueryFailed(f"libvirt does not answer on this host ({words}): start libvirtd, then try again.") from error


def _find(connection: Any, server_id: str) -> Any:
    try:
        return connection.lookupByUUIDString(server_id)
    except libvirt.libvirtError as error:
        raise QueryFailed("The guest is not defined on this host: reboot the server hard.") from error


def _figures(connection: Any, domain: Any) -> dict[str, Any]:
    state, _max_kib, memory_kib, _vcpus, _time = domain.info()
    root = ET.fromstring(domain.XMLDesc())
    running = bool(domain.isActive())
    cpus = [{"id": vcpu[0], "time_ns": vcpu[2]} for vcpu in domain.vcpus()[0]] if running else []
    balloon = domain.memoryStats() if running else {}
    return {
        "state": states.power_state(state),
        "hypervisor": connection.getType().lower(),
        "hypervisor_os": "linux",
        "uptime_s": _uptime(domain) if running else None,
        "config_drive": root.find("devices/disk[@device='cdrom']") is not None,
        "cpus": cpus,
        "memory_kib": memory_kib,
        "memory_stats_kib": dict(balloon),
        "disks": [_disk(domain, target) for target in _targets(root)] if running else [],
        "nics": [_nic(domain, nic) for nic in root.findall("devices/interface")] if running else [],
    }


def _uptime(domain: Any) -> int | None:
    """Seconds that the guest's process has run: the age of its processor's thread is not told, its own clock is."""
    try:
        with open(f"/run/libvirt/qemu/{domain.name()}.pid", encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime", encoding="ascii") as file:
            since_boot_s = float(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return max(0, int(since_boot_s - ticks / 100))


def _targets(root: ET.Element) -> list[str]:
    return [str(target.get("dev")) for target in root.findall("devices/disk/target")]


def _disk(domain: Any, target: str) -> dict[str, Any]:
    reads, read_bytes, writes, write_bytes, errors = domain.blockStats(target)
    return {"target": target, "read_requests": reads, "read_bytes": read_bytes, "write_requests": writes,
            "write_bytes": write_bytes, "errors": errors}  # fmt: skip


def _nic(domain: Any, nic: ET.Element) -> dict[str, Any]:
    mac, target = nic.find("mac"), nic.find("target")
    name = "" if target is None else str(target.get("dev"))
    figures = domain.interfaceStats(name)
    names = ("rx_bytes", "rx_packets", "rx_errors", "rx_drop", "tx_bytes", "tx_packets", "tx_errors", "tx_drop")
    return {"target": name, "mac": "" if mac is None else mac.get("address"), **dict(zip(names, figures, strict=True))}
