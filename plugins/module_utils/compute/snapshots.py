"""Images of guests' disks: written to a file, at one moment while the guest runs, and sent to the image service."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
import time
import urllib.parse
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
from ansible_collections.stratiform.cloud.plugins.module_utils.compute import qemu_img, session
from ansible_collections.stratiform.cloud.plugins.module_utils.compute.qemu_img import ImageError
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome

POLL_S = 0.2
SOCKET_TIMEOUT_S = 300.0
ATTEMPTS = 5
PAUSE_S = 2.0
_CONFLICT = 409
_RUNNING_STATES = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED, libvirt.VIR_DOMAIN_PAUSED)


def converge(specs: list[dict[str, Any]], outcome: Outcome, check_mode: bool) -> None:
    """Make and send each snapshot; in check mode only say that it would be."""
    for spec in specs:
        try:
            if outcome.change(f"image {spec['image_id']}", None, {"disk": spec["disk"]}) and not check_mode:
                _snapshot(spec, outcome)
        except ImageError as error:
            outcome.fail(spec["id"], str(error))
        except libvirt.libvirtError as error:
            outcome.fail(spec["id"], session.sentence(error, spec["id"]))
        except OSError as error:
            words = error.strerror or type(error).__name__
            outcome.fail(spec["id"], f"The disk's copy failed ({words}): look after the host's disk, then try again.")


def _snapshot(spec: dict[str, Any], outcome: Outcome) -> None:
    work = os.path.join(os.path.dirname(spec["disk"]), f"snapshot-{spec['image_id']}")
    try:
        # A job that is repeated after the copy was whole goes on with that copy.
        if not os.path.isfile(work):
            _copy(spec, work)
        size_bytes = os.path.getsize(work)
        _send(spec, work, size_bytes)
        outcome.record(spec["id"], image_id=spec["image_id"], size_bytes=size_bytes)
    finally:
        for path in (work, f"{work}.new"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _copy(spec: dict[str, Any], work: str) -> None:
    connection = session.connect()
    try:
        try:
            domain = connection.lookupByUUIDString(spec["id"])
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            domain = None
        if domain is not None and domain.state()[0] in _RUNNING_STATES:
            _copy_live(domain, spec["disk"], work)
        else:
            qemu_img.flatten(spec["disk"], work)
    finally:
        connection.close()


def _copy_live(domain: Any, disk: str, work: str) -> None:
    """QEMU's own backup: the disk as it is at this moment, with what lies below it, while the guest goes on writing."""
    target = _target(domain, disk)
    temporary = f"{work}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    root = ET.Element("domainbackup", mode="push")
    disks = ET.SubElement(root, "disks")
    for name in _targets(domain):
        element = ET.SubElement(disks, "disk", name=name, backup="yes" if name == target else "no")
        if name == target:
            element.set("type", "file")
            ET.SubElement(element, "target", file=temporary)
            ET.SubElement(element, "driver", type="qcow2")
    _abort_former(domain)
    frozen = _freeze(domain)
    try:
        domain.backupBegin(ET.tostring(root, encoding="unicode"), None)
    finally:
        if frozen:
            domain.fsThaw()
    _wait(domain)
    os.chmod(temporary, 0o600)
    os.rename(temporary, work)


def _abort_former(domain: Any) -> None:
    """End the backup of a job that was killed, if one still runs: a guest has one at a time."""
    try:
        domain.backupGetXMLDesc()
    except libvirt.libvirtError:
        return
    with contextlib.suppress(libvirt.libvirtError):
        domain.abortJob()
    deadline = time.monotonic() + SOCKET_TIMEOUT_S
    while domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE and time.monotonic() < deadline:
        time.sleep(POLL_S)


def _freeze(domain: Any) -> bool:
    """Have the guest's agent write down all that its file systems hold, where an agent answers."""
    connected = ET.fromstring(domain.XMLDesc()).find("devices/channel/target[@state='connected']")
    if connected is None:
        return False
    try:
        domain.fsFreeze()
    except libvirt.libvirtError:
        return False
    return True


def _wait(domain: Any) -> None:
    while domain.jobStats().get("type", libvirt.VIR_DOMAIN_JOB_NONE) != libvirt.VIR_DOMAIN_JOB_NONE:
        time.sleep(POLL_S)
    done = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if done.get("type") != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        reason = done.get("errmsg") or "QEMU gave no reason"
        raise ImageError(f"The copy of the running guest's disk failed ({reason}): look after the host's disk.")


def _targets(domain: Any) -> list[str]:
    disks = ET.fromstring(domain.XMLDesc()).findall("devices/disk[@device='disk']/target")
    return [str(disk.get("dev")) for disk in disks]


def _target(domain: Any, path: str) -> str:
    for disk in ET.fromstring(domain.XMLDesc()).findall("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and source.get("file") == path:
            return str(target.get("dev"))
    raise ImageError(f"The running guest does not use the disk {path}: reboot it hard, then try again.")


def _send(spec: dict[str, Any], work: str, size_bytes: int) -> None:
    """PUT the file; a connection that breaks, or an upload of a killed job that still ends, is tried again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            status, words = _put(spec, work, size_bytes)
        except (OSError, http.client.HTTPException) as error:
            status, words = 0, type(error).__name__
        if 200 <= status < 300:
            return
        if attempt == ATTEMPTS or (400 <= status < 500 and status != _CONFLICT):
            raise ImageError(f"The image service did not take the image ({status or words}): {words}")
        time.sleep(PAUSE_S * attempt)


def _put(spec: dict[str, Any], work: str, size_bytes: int) -> tuple[int, str]:
    """One attempt: the status and what the service says to it. The URL is a secret: no message quotes it."""
    url = urllib.parse.urlsplit(spec["url"])
    if url.scheme != "https":
        raise ImageError("The image's URL is not https: the image service must give one that is.")
    context = ssl.create_default_context(cafile=spec.get("ca_file"))
    connection = http.client.HTTPSConnection(
        str(url.hostname), url.port or 443, timeout=SOCKET_TIMEOUT_S, context=context
    )
    try:
        with open(work, "rb") as file:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size_bytes)}
            connection.request("PUT", f"{url.path}?{url.query}", body=file, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode("utf-8", "replace").strip()[:300]
    finally:
        connection.close()
