"""The connection to this host's libvirt, and its errors in sentences that help."""

from __future__ import annotations

from typing import Any

import libvirt

URI = "qemu:///system"

ADVICE = (
    ("Cannot access storage file", "Bring the server's disk with disk_image first."),
    ("No such file or directory", "Bring the server's disk with disk_image first."),
    ("Cannot get interface", "Make the server's tap devices with network_bridge first."),
    ("Unable to create tap device", "Make the server's tap devices with network_bridge first."),
    ("No such device", "Make the server's tap devices with network_bridge first."),
    ("Cannot allocate memory", "The host has not enough free memory: stop other guests or choose another host."),
    ("cannot set up guest memory", "The host has not enough free memory: stop other guests or choose another host."),
    ("already exists with uuid", "Another guest has this name: remove that one, or give this one another name."),
    ('Failed to get "write" lock', "Another guest uses the disk: stop that one first."),
)


def connect() -> Any:
    """Connect to libvirt; raises libvirtError."""
    # Errors are raised as well: libvirt need not print them among our results.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    return libvirt.open(URI)


def sentence(error: libvirt.libvirtError, name: str) -> str:
    """Libvirt's words and what to do about them."""
    words = error.get_error_message() or "libvirt gave no reason"
    default = f"See /var/log/libvirt/qemu/{name}.log on the host."
    advice = next((advice for pattern, advice in ADVICE if pattern in words), default)
    return f"libvirt says: {words.strip().rstrip('.')}. {advice}"
