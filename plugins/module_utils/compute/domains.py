"""Converges a list of guests: find, compare, apply, several at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt
from ansible_collections.stratiform.cloud.plugins.module_utils.compute import (
    domain_xml,
    plugging,
    power,
    session,
    virtualization,
)
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome

# Taking a guest's power takes seconds on a busy host, and waiting for guests costs nothing.
AT_ONCE = 8


def converge(specs: list[dict[str, Any]], outcome: Outcome, check_mode: bool) -> None:
    """Make all guests as desired; in check mode only say what differs."""
    if not specs:
        return
    try:
        connection = session.connect()
    except libvirt.libvirtError as error:
        for spec in specs:
            words = error.get_error_message()
            outcome.fail(
                spec["id"], f"libvirt does not answer on this host ({words}): start libvirtd, then run the job again."
            )
        return
    host = _Host(connection, outcome, check_mode)
    try:
        with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(specs))) as pool:
            list(pool.map(host.converge, specs))
    finally:
        connection.close()


class _Host:
    """One call's work on this host's guests; converge() is called from several threads."""

    def __init__(self, connection: Any, outcome: Outcome, check_mode: bool) -> None:
        self.connection = connection
        self.outcome = outcome
        self.check_mode = check_mode
        self.lock = threading.Lock()

    def converge(self, spec: dict[str, Any]) -> None:
        """Make one guest as desired; what goes wrong is noted as this guest's failure."""
        try:
            if spec["state"] == "absent":
                self._remove(spec)
            else:
                self._present(spec)
        except libvirt.libvirtError as error:
            with self.lock:
                self.outcome.fail(spec["id"], session.sentence(error, spec["name"] or spec["id"]))
        except plugging.NotReleased as error:
            with self.lock:
                self.outcome.fail(spec["id"], str(error))

    def _find(self, server_id: str) -> Any:
        try:
            return self.connection.lookupByUUIDString(server_id)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def _change(self, header: str, before: Any, after: Any) -> bool:
        """Note a difference; True when there is one that is to be applied."""
        with self.lock:
            return self.outcome.change(header, before, after) and not self.check_mode

    def _remove(self, spec: dict[str, Any]) -> None:
        domain = self._find(spec["id"])
        if domain is not None:
            before = {"defined": True, "power_state": power.Guest(domain).power_state()}
            if self._change(f"guest {spec['id']}", before, {"defined": False}):
                power.Guest(domain).remove()
        with self.lock:
            self.outcome.record(spec["id"], power_state="nostate", vnc_port=None, outcome=None)

    def _present(self, spec: dict[str, Any]) -> None:
        domain = self._define(spec)
        if domain is None:
            self._not_there(spec)
            return
        guest = power.Guest(domain)
        self._plug(spec, domain)
        wanted = spec["reboot"]
        how = self._earlier_reboot(spec, guest)
        if wanted and how is None:
            if self._change(*_reboot_difference(spec)):
                how = guest.reboot(wanted["type"], wanted["mark"], wanted["timeout_s"])
        elif spec["interrupt"]:
            self._interrupt(spec, guest)
        elif spec["power_state"] is not None and not self._is_past(spec, guest):
            current = guest.power_state()
            if self._change(f"guest {spec['id']}", {"power_state": current}, {"power_state": spec["power_state"]}):
                how = guest.set_power(spec["power_state"], spec["shutdown_timeout_s"]) or how
        observed = guest.power_state()
        port = domain_xml.vnc_port(domain.XMLDesc()) if observed in ("running", "paused") else None
        with self.lock:
            self.outcome.record(spec["id"], power_state=observed, vnc_port=port, outcome=how)

    def _define(self, spec: dict[str, Any]) -> Any:
        """Compare the definition and change it where it differs; the domain, or None when there is none (yet)."""
        domain = self._find(spec["id"])
        if spec["memory_mb"] is None:
            return domain
        virt_type = virtualization.virt_type() if spec["virt_type"] == "auto" else spec["virt_type"]
        xml = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if domain is not None else None
        marks = None if xml is None else domain_xml.marks_element(xml)
        desired = domain_xml.build(spec, virt_type, marks)
        before = None if xml is None else domain_xml.managed_view(xml)
        if self._change(f"definition of guest {spec['id']}", before, domain_xml.managed_view(desired)):
            return self.connection.defineXMLFlags(desired, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
        return domain

    def _plug(self, spec: dict[str, Any], domain: Any) -> None:
        """Plug and unplug a running guest's interfaces, unless it is about to stop or start anew anyway."""
        stays = spec["reboot"] is None and spec["power_state"] in (None, "running", "paused")
        if spec["memory_mb"] is None or not stays or not domain.isActive():
            return
        before, after = plugging.difference(domain.XMLDesc(), spec["interfaces"])
        if self._change(f"interfaces of guest {spec['id']}", before, after):
            plugging.plug(domain, spec["interfaces"], spec["unplug_timeout_s"])

    def _not_there(self, spec: dict[str, Any]) -> None:
        """A guest that is not defined: in check mode it would be, without figures it can't be."""
        with self.lock:
            if spec["memory_mb"] is None:
                self.outcome.fail(
                    spec["id"],
                    "The guest is not defined on this host: give name, vcpus and memory_mb to define it, or delete it.",
                )
                return
            if spec["reboot"]:
                self.outcome.change(*_reboot_difference(spec))
            elif spec["power_state"] is not None:
                self.outcome.change(
                    f"guest {spec['id']}", {"power_state": "shutdown"}, {"power_state": spec["power_state"]}
                )
            self.outcome.record(spec["id"], power_state="nostate", vnc_port=None, outcome=None)

    def _interrupt(self, spec: dict[str, Any], guest: power.Guest) -> None:
        done = _mark(guest, "interrupt", spec["interrupt"]) is not None
        if self._change(f"interrupt of guest {spec['id']}", {"mark": spec["interrupt"] if done else None},
                        {"mark": spec["interrupt"]}):  # fmt: skip
            guest.interrupt(spec["interrupt"])

    @staticmethod
    def _is_past(spec: dict[str, Any], guest: power.Guest) -> bool:
        """Whether the reboot that comes after this step has been done already."""
        return bool(spec["unless_mark"]) and _mark(guest, "reboot", spec["unless_mark"]) is not None

    @staticmethod
    def _earlier_reboot(spec: dict[str, Any], guest: power.Guest) -> str | None:
        """The outcome of the wanted reboot when it has been done; it may have been broken off before the start."""
        return _mark(guest, "reboot", spec["reboot"]["mark"]) if spec["reboot"] else None


def _mark(guest: power.Guest, action: str, mark: str) -> str | None:
    return domain_xml.mark_outcome(guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), action, mark)


def _reboot_difference(spec: dict[str, Any]) -> tuple[str, Any, Any]:
    return (
        f"reboot of guest {spec['id']}",
        {"mark": None},
        {"mark": spec["reboot"]["mark"], "type": spec["reboot"]["type"]},
    )
