"""Starts, stops and reboots guests through libvirt, and waits for what a guest has to do itself."""

from __future__ import annotations

import time
from typing import Any

import libvirt
from ansible_collections.stratiform.cloud.plugins.module_utils.compute import domain_xml, states

POLL_S = 0.2
# A guest that boots may not listen to the power button yet: press it again.
PRESS_AGAIN_S = 10.0
DESTROY_ATTEMPTS = 4
OFF = ("shutdown", "crashed", "nostate", "suspended")


class Guest:
    """A domain that is defined on this host."""

    def __init__(self, domain: Any) -> None:
        self.domain = domain

    def power_state(self) -> str:
        """The observed power state: running, shutdown, suspended (to a file), paused, crashed or nostate."""
        state = states.power_state(self.domain.state()[0])
        return "suspended" if state == "shutdown" and self.domain.hasManagedSaveImage() else state

    def start(self, paused: bool = False) -> None:
        """Start a guest that is off."""
        if self.power_state() == "crashed":
            self.power_off()
        self.domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)

    def set_power(self, desired: str, shutdown_timeout_s: int) -> str | None:
        """Bring the guest to a power state; how a stop went (``guest_shutdown``, ``destroyed``), None for the rest."""
        current = self.power_state()
        if current == desired:
            return None
        if desired == "shutdown":
            return self.shut_down(shutdown_timeout_s)
        if desired == "suspended":
            self.suspend()
        elif current in OFF:
            self.start(paused=desired == "paused")
        elif desired == "paused":
            self.domain.suspend()
        else:
            self.domain.resume()
        return None

    def suspend(self) -> None:
        """Save the guest's memory to a file that its next start goes on from; it will run then."""
        self.domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)

    def interrupt(self, mark: str) -> None:
        """Send a non-maskable interrupt. The mark is left before, so that a guest never gets a second one."""
        self.leave_mark("interrupt", mark)
        self.domain.injectNMI()

    def shut_down(self, timeout_s: int) -> str:
        """Ask the guest to shut down; after the timeout, or at once when it is 0, take its power."""
        if self.ask_to_shut_down(timeout_s):
            return "guest_shutdown"
        self.power_off()
        return "destroyed"

    def ask_to_shut_down(self, timeout_s: int) -> bool:
        """Press the power button (ACPI) until the guest is off; False when it is not by the timeout."""
        if timeout_s <= 0 or self.power_state() != "running":
            return self.power_state() in OFF
        deadline = time.monotonic() + timeout_s
        next_press = 0.0
        while time.monotonic() < deadline:
            if time.monotonic() >= next_press:
                if not self._press_power_button():
                    return self.power_state() in OFF
                next_press = time.monotonic() + PRESS_AGAIN_S
            time.sleep(POLL_S)
            if self.power_state() in OFF:
                return True
        return False

    def _press_power_button(self) -> bool:
        """Send the ACPI event; False when the guest cannot take it, for instance because it is just off."""
        try:
            self.domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID:
                return False
            raise
        return True

    def power_off(self) -> None:
        """Take the guest's power, or its saved memory. A QEMU that waits for a slow disk may need several attempts."""
        if self.power_state() == "suspended":
            self.domain.managedSaveRemove(0)
            return
        for attempt in range(1, DESTROY_ATTEMPTS + 1):
            try:
                self.domain.destroy()
                return
            except libvirt.libvirtError as error:
                if self.power_state() in ("shutdown", "suspended"):
                    return
                if attempt == DESTROY_ATTEMPTS or error.get_error_code() != libvirt.VIR_ERR_SYSTEM_ERROR:
                    raise
                time.sleep(1)

    def reboot(self, kind: str, mark: str, timeout_s: int) -> str:
        """Reboot and leave the mark; what it was in the end: ``soft``, or ``hard`` also when a soft one took too long.

        The mark is set while the guest is off. So whenever this is broken off, its repetition does what is missing,
        and only that.
        """
        outcome = "soft" if kind == "soft" and self.ask_to_shut_down(timeout_s) else "hard"
        if self.power_state() not in OFF or self.power_state() in ("crashed", "suspended"):
            self.power_off()
        self.leave_mark("reboot", mark, outcome)
        self.start()
        return outcome

    def leave_mark(self, action: str, mark: str, outcome: str = "") -> None:
        """Keep with the definition that an action was done; the last one of each kind is enough."""
        marks = domain_xml.with_mark(self.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), action, mark, outcome)
        self.domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, marks, "stratiform-marks", domain_xml.MARKS_NAMESPACE,
            libvirt.VIR_DOMAIN_AFFECT_CONFIG,
        )  # fmt: skip

    def remove(self) -> None:
        """Power off and undefine, with all that libvirt keeps beside the definition."""
        if self.power_state() not in ("shutdown", "suspended"):
            self.power_off()
        try:
            self.domain.undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
                | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
            )
        except libvirt.libvirtError as error:
            # A transient domain is gone with its power.
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
