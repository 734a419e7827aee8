"""Finds out whether guests run with hardware virtualisation here, by running one.

/dev/kvm alone says little: in some nested machines it is there, and guests crash on it or crawl.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
import time
from typing import Literal

VirtType = Literal["kvm", "qemu"]

QEMU = "qemu-system-x86_64"
KVM_DEVICE = "/dev/kvm"
CACHE_PATH = "/run/stratiform/virt-type.json"
BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id"

# The guest's whole program: a boot sector that writes 0x10 to QEMU's isa-debug-exit device, which then ends QEMU
# with the exit code (0x10 << 1) | 1. Until there, the BIOS has run some million instructions in three CPU modes.
#   mov al, 0x10; out 0xf4, al; halt: hlt; jmp halt
_PROGRAM = bytes.fromhex("b010e6f4f4ebfd")
_EXIT_CODE = 33
_SECTOR = _PROGRAM.ljust(510, b"\0") + b"\x55\xaa"
_FLOPPY_BYTES = 1440 * 1024

_EMULATED_DEADLINE_S = 60.0
# Hardware virtualisation that is slower than emulation is none.
_LEAST_DEADLINE_S = 2.0
_SLOWNESS_ALLOWED = 3.0


def virt_type(cache_path: str = CACHE_PATH) -> VirtType:
    """``kvm`` when a guest was seen running with it since the host's last boot, else ``qemu``.

    The first call after a boot takes up to some seconds; the answer is kept until the next boot.
    """
    with open(BOOT_ID_PATH, encoding="ascii") as file:
        boot_id = file.read().strip()
    os.makedirs(os.path.dirname(cache_path), mode=0o755, exist_ok=True)
    with open(cache_path, "a+", encoding="utf-8") as cache:
        fcntl.flock(cache, fcntl.LOCK_EX)
        cache.seek(0)
        known = _cached(cache.read(), boot_id)
        if known is not None:
            return known
        found = _probe()
        cache.seek(0)
        cache.truncate()
        json.dump({"boot_id": boot_id, "virt_type": found}, cache)
        return found


def _cached(text: str, boot_id: str) -> VirtType | None:
    """The cached answer if it is of this boot."""
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    if not isinstance(entry, dict) or entry.get("boot_id") != boot_id:
        return None
    kind = entry.get("virt_type")
    if kind == "kvm":
        return "kvm"
    return "qemu" if kind == "qemu" else None


def _probe() -> VirtType:
    """Run the tiny guest by emulation, then with KVM, which must not be much slower."""
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return "qemu"
    with tempfile.NamedTemporaryFile(prefix="stratiform-probe-") as floppy:
        floppy.write(_SECTOR.ljust(_FLOPPY_BYTES, b"\0"))
        floppy.flush()
        emulated_s = _run_guest("tcg", floppy.name, _EMULATED_DEADLINE_S)
        if emulated_s is None:
            return "qemu"
        deadline_s = max(_LEAST_DEADLINE_S, emulated_s * _SLOWNESS_ALLOWED)
        return "qemu" if _run_guest("kvm", floppy.name, deadline_s) is None else "kvm"


def _run_guest(accelerator: str, floppy: str, deadline_s: float) -> float | None:
    """Boot the floppy; the seconds it took, or None when the guest failed or was too slow."""
    command = [
        QEMU,
        *("-accel", accelerator),
        *("-cpu", "host" if accelerator == "kvm" else "qemu64"),
        *("-machine", "pc"),
        *("-m", "16"),
        *("-display", "none"),
        "-nodefaults",
        "-no-reboot",
        *("-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
        *("-drive", f"if=floppy,format=raw,readonly=on,file={floppy}"),
    ]
    begin = time.monotonic()
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=deadline_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return time.monotonic() - begin if done.returncode == _EXIT_CODE else None
