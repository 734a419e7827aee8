"""Plugs network interfaces into running guests and takes them out, so that a guest has what its definition says.

A guest gives a device back when it has let go of it (ACPI), so unplugging is asked for and waited for.
See https://libvirt.org/html/libvirt-libvirt-domain.html, virDomainDetachDeviceFlags.
"""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
from ansible_collections.stratiform.cloud.plugins.module_utils.compute import domain_xml

POLL_S = 0.2
# A guest that boots does not listen yet: ask again.
ASK_AGAIN_S = 5.0


class NotReleased(Exception):
    """The guest holds on to an interface that was taken from it."""


def difference(xml: str, wanted: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The taps that a running guest (by its live XML) has, and those that it should have."""
    return sorted(_by_tap(xml)), sorted(interface["tap"] for interface in wanted)


def plug(domain: Any, wanted: list[dict[str, Any]], timeout_s: float) -> None:
    """Make a running guest have exactly these interfaces; NotReleased when it keeps one longer than the timeout."""
    have = _by_tap(domain.XMLDesc())
    for interface in wanted:
        if interface["tap"] not in have:
            element = domain_xml.interface_element(interface)
            domain.attachDeviceFlags(ET.tostring(element, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    surplus = {tap: xml for tap, xml in have.items() if tap not in {interface["tap"] for interface in wanted}}
    if surplus:
        _unplug(domain, surplus, timeout_s)


def _by_tap(xml: str) -> dict[str, str]:
    """Tap -> the interface's XML, of a running guest."""
    found = {}
    for element in ET.fromstring(xml).findall("devices/interface"):
        target = element.find("target")
        if target is not None and target.get("dev"):
            found[target.get("dev", "")] = ET.tostring(element, encoding="unicode")
    return found


def _unplug(domain: Any, surplus: dict[str, str], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    next_ask = 0.0
    while surplus:
        if time.monotonic() >= next_ask:
            for xml in surplus.values():
                _ask(domain, xml)
            next_ask = time.monotonic() + ASK_AGAIN_S
        time.sleep(POLL_S)
        if not domain.isActive():
            return
        have = _by_tap(domain.XMLDesc())
        surplus = {tap: xml for tap, xml in surplus.items() if tap in have}
        if surplus and time.monotonic() > deadline:
            raise NotReleased(
                f"The guest does not let go of its interface {', '.join(sorted(surplus))}. It is taken out when the "
                "guest is rebooted hard or stopped."
            )


def _ask(domain: Any, xml: str) -> None:
    """Ask the guest to release a device; it may be about to, or have done so."""
    try:
        domain.detachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (
            libvirt.VIR_ERR_DEVICE_MISSING, libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_OPERATION_INVALID
        ):  # fmt: skip
            raise
