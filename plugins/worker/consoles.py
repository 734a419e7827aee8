"""Keeps the guests' console logs from filling the host's disk: QEMU appends to them for ever."""

from __future__ import annotations

import glob
import logging
import os

log = logging.getLogger("stratiform-worker")

MAX_BYTES = 4 << 20
KEPT_BYTES = 1 << 20


def trim_all(state_dir: str) -> None:
    """Cut every console log that is too long to its end."""
    for path in glob.glob(os.path.join(glob.escape(state_dir), "instances", "*", "console.log")):
        try:
            if os.lstat(path).st_size > MAX_BYTES:
                trim(path)
        except OSError as error:
            log.info("%s is not trimmed: %s", path, error)


def trim(path: str) -> None:
    """Keep the end of a log. QEMU has it open for appending, so it goes on behind what is kept."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - KEPT_BYTES))
        end = file.read(KEPT_BYTES)
        file.seek(0)
        file.write(end)
        file.truncate()
