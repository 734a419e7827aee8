"""A guest's definition as libvirt's domain XML, and the part of a domain's XML that we manage, for comparison.

The XML is built as a tree and never from text, because names and metadata are the tenants'.
See https://libvirt.org/formatdomain.html.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

SERVER_NAMESPACE = "urn:stratiform:server:1"
MARKS_NAMESPACE = "urn:stratiform:marks:1"
ET.register_namespace("stratiform", SERVER_NAMESPACE)
ET.register_namespace("stratiform-marks", MARKS_NAMESPACE)

# One translation cache of QEMU's default size costs each emulated guest 50 MB more.
TCG_CACHE_MIB = 32
# The least processor of x86-64-v2, which distributions ask for. Emulating all that QEMU knows slows a boot down.
EMULATED_CPU = "Nehalem"
BUS_PREFIXES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}
AGENT_CHANNEL = "org.qemu.guest_agent.0"
# What XML 1.0 can't hold, beside line breaks and tabs, which a title must not hold either.
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_LINE_BREAKS = re.compile(r"[\r\n\t]+")


def clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _CONTROL_CHARACTERS.sub("", text)


def build(spec: dict[str, Any], virt_type: str, marks: ET.Element | None = None) -> str:
    """The domain XML of a guest. ``marks`` is the element of finished actions that the domain has already."""
    root = ET.Element("domain", type=virt_type)
    _text(root, "uuid", spec["id"])
    _text(root, "name", spec["name"])
    if spec.get("title"):
        _text(root, "title", _LINE_BREAKS.sub(" ", clean(spec["title"])))
    metadata = ET.SubElement(root, "metadata")
    server = ET.SubElement(metadata, f"{{{SERVER_NAMESPACE}}}server")
    for key, value in sorted((spec.get("metadata") or {}).items()):
        item = ET.SubElement(server, f"{{{SERVER_NAMESPACE}}}item", name=clean(str(key)))
        item.text = clean("" if value is None else str(value))
    if marks is not None:
        metadata.append(marks)
    _text(root, "memory", str(spec["memory_mb"]), unit="MiB")
    _text(root, "vcpu", str(spec["vcpus"]))
    _firmware(root, spec["id"])
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if virt_type == "qemu":
        _text(ET.SubElement(features, "tcg"), "tb-cache", str(TCG_CACHE_MIB), unit="MiB")
    _processor(root, virt_type)
    _clock(root, virt_type)
    _text(root, "on_poweroff", "destroy")
    _text(root, "on_reboot", "restart")
    _text(root, "on_crash", "destroy")
    _devices(ET.SubElement(root, "devices"), spec)
    return ET.tostring(root, encoding="unicode")


def managed_view(xml: str) -> dict[str, Any]:
    """What we manage of a definition, in a form that can be compared whatever libvirt added to it."""
    root = ET.fromstring(xml)
    server = root.find(f"metadata/{{{SERVER_NAMESPACE}}}server")
    items = [] if server is None else server.findall(f"{{{SERVER_NAMESPACE}}}item")
    devices = root.find("devices")
    assert devices is not None
    log = devices.find("serial/log")
    cpu = root.find("cpu")
    memory = root.find("memory")
    return {
        "type": root.get("type"),
        "name": root.findtext("name"),
        "title": root.findtext("title") or "",
        "metadata": {item.get("name", ""): item.text or "" for item in items},
        "memory_kib": 0 if memory is None else int(memory.text or 0) * (1024 if memory.get("unit") == "MiB" else 1),
        "vcpus": int(root.findtext("vcpu") or 0),
        "cpu": None if cpu is None else (cpu.findtext("model") if cpu.get("mode") == "custom" else cpu.get("mode")),
        "disks": [_disk_view(disk) for disk in devices.findall("disk")],
        "interfaces": [_interface_view(interface) for interface in devices.findall("interface")],
        "console_log": None if log is None else log.get("file"),
        "vnc": devices.find("graphics[@type='vnc']") is not None,
        "guest_agent": devices.find(f"channel/target[@name='{AGENT_CHANNEL}']") is not None,
    }


def vnc_port(xml: str) -> int | None:
    """The TCP port of a running guest's VNC server."""
    graphics = ET.fromstring(xml).find("devices/graphics[@type='vnc']")
    port = int(graphics.get("port", "-1")) if graphics is not None else -1
    return port if port > 0 else None


def marks_element(xml: str) -> ET.Element | None:
    """The element that holds the marks of finished actions."""
    return ET.fromstring(xml).find(f"metadata/{{{MARKS_NAMESPACE}}}marks")


def mark_outcome(xml: str, action: str, mark: str) -> str | None:
    """The outcome of the action with this mark, when it has been done; None when it has not."""
    marks = marks_element(xml)
    done = None if marks is None else marks.find(f"{{{MARKS_NAMESPACE}}}{action}")
    return done.get("outcome", "") if done is not None and done.get("mark") == mark else None


def with_mark(xml: str, action: str, mark: str, outcome: str) -> str:
    """The content of the marks' element with one more; the last one of each kind is enough, as jobs have an order."""
    # Libvirt puts the element and its children into the namespace itself.
    marks = ET.Element("marks")
    known = marks_element(xml)
    for done in [] if known is None else known:
        name = done.tag.rpartition("}")[2]
        if name != action:
            ET.SubElement(marks, name, dict(done.attrib))
    ET.SubElement(marks, action, mark=clean(mark), outcome=outcome)
    return ET.tostring(marks, encoding="unicode")


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def _firmware(root: ET.Element, server_id: str) -> None:
    """BIOS tables by which guests (cloud-init) recognise an OpenStack cloud and find their own id."""
    system = ET.SubElement(ET.SubElement(root, "sysinfo", type="smbios"), "system")
    entries = {
        "manufacturer": "OpenStack Foundation",
        "product": "OpenStack Nova",
        "serial": server_id,
        "uuid": server_id,
        "family": "Virtual Machine",
    }
    for name, value in entries.items():
        _text(system, "entry", value, name=name)
    os_element = ET.SubElement(root, "os")
    _text(os_element, "type", "hvm", arch="x86_64", machine="pc")
    ET.SubElement(os_element, "smbios", mode="sysinfo")


def _processor(root: ET.Element, virt_type: str) -> None:
    if virt_type == "kvm":
        ET.SubElement(root, "cpu", mode="host-model")
        return
    cpu = ET.SubElement(root, "cpu", mode="custom", match="exact", check="none")
    _text(cpu, "model", EMULATED_CPU, fallback="forbid")


def _clock(root: ET.Element, virt_type: str) -> None:
    clock = ET.SubElement(root, "clock", offset="utc")
    if virt_type == "kvm":
        ET.SubElement(clock, "timer", name="pit", tickpolicy="delay")
        ET.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    ET.SubElement(clock, "timer", name="hpet", present="no")


def _devices(devices: ET.Element, spec: dict[str, Any]) -> None:
    counts: dict[str, int] = {}
    for position, disk in enumerate(spec.get("disks") or []):
        _disk(devices, disk, position, counts)
    if any(disk["bus"] == "scsi" for disk in spec.get("disks") or []):
        ET.SubElement(devices, "controller", type="scsi", model="virtio-scsi")
    # No USB: its controller polls, which costs an emulated guest CPU time at rest.
    ET.SubElement(devices, "controller", type="usb", model="none")
    for interface in spec.get("interfaces") or []:
        devices.append(interface_element(interface))
    if spec.get("console_log"):
        serial = ET.SubElement(devices, "serial", type="pty")
        # Appending lets the host trim the file while QEMU writes to it.
        ET.SubElement(serial, "log", file=spec["console_log"], append="on")
    video = ET.SubElement(devices, "video")
    ET.SubElement(video, "model", type="vga" if spec.get("vnc") else "none")
    if spec.get("vnc"):
        graphics = ET.SubElement(devices, "graphics", type="vnc", port="-1", autoport="yes")
        ET.SubElement(graphics, "listen", type="address", address="127.0.0.1")
    if spec.get("guest_agent"):
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "target", type="virtio", name=AGENT_CHANNEL)
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    ET.SubElement(devices, "memballoon", model="virtio")


def _disk(devices: ET.Element, disk: dict[str, Any], position: int, counts: dict[str, int]) -> None:
    element = ET.SubElement(devices, "disk", type="file", device=disk["device"])
    # Guests' own flushes reach the disk under writeback, so a host's crash loses nothing that a guest had made safe.
    ET.SubElement(element, "driver", name="qemu", type=disk["format"], cache="writeback", discard="unmap")
    ET.SubElement(element, "source", file=disk["path"])
    prefix = BUS_PREFIXES[disk["bus"]]
    letter = chr(ord("a") + counts.get(prefix, 0))
    counts[prefix] = counts.get(prefix, 0) + 1
    ET.SubElement(element, "target", dev=prefix + letter, bus=disk["bus"])
    if disk["device"] == "cdrom":
        ET.SubElement(element, "readonly")
    ET.SubElement(element, "boot", order=str(disk.get("boot_order") or position + 1))


def interface_element(interface: dict[str, Any]) -> ET.Element:
    """A network interface on a tap that exists."""
    element = ET.Element("interface", type="ethernet")
    ET.SubElement(element, "mac", address=interface["mac"].lower())
    # The tap is made and kept by network_bridge.
    ET.SubElement(element, "target", dev=interface["tap"], managed="no")
    ET.SubElement(element, "model", type="virtio")
    if interface.get("mtu"):
        ET.SubElement(element, "mtu", size=str(interface["mtu"]))
    ET.SubElement(element, "rom", enabled="no")
    return element


def _attribute(element: ET.Element, path: str, name: str) -> str | None:
    found = element.find(path)
    return None if found is None else found.get(name)


def _disk_view(disk: ET.Element) -> dict[str, Any]:
    return {
        "device": disk.get("device"),
        "path": _attribute(disk, "source", "file"),
        "format": _attribute(disk, "driver", "type"),
        "bus": _attribute(disk, "target", "bus"),
        "boot_order": int(_attribute(disk, "boot", "order") or 0),
    }


def _interface_view(interface: ET.Element) -> dict[str, Any]:
    return {
        "tap": _attribute(interface, "target", "dev"),
        "mac": (_attribute(interface, "mac", "address") or "").lower(),
        "mtu": int(_attribute(interface, "mtu", "size") or 0) or None,
    }
