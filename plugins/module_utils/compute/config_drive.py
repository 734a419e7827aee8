"""Config drives: ISO 9660 images with the label config-2, which guests read instead of the metadata service."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import PurePosixPath

from ansible_collections.stratiform.cloud.plugins.module_utils.compute.qemu_img import ImageError

LABEL = "config-2"
PROGRAM = "genisoimage"
TIMEOUT_S = 120
# ECMA-119: the primary volume descriptor is sector 16; its application identifier has 128 bytes from offset 574 on.
_APPLICATION_ID_OFFSET = 16 * 2048 + 574
_APPLICATION_ID_BYTES = 128


def digest(files: dict[str, str]) -> str:
    """A name for the drive's whole content. It is written into the drive as its application identifier."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(hashlib.sha256(path.encode()).digest())
        total.update(hashlib.sha256(files[path].encode()).digest())
    return total.hexdigest().upper()


def digest_of(path: str) -> str | None:
    """The digest that a drive was made with; None when there is no such drive."""
    try:
        with open(path, "rb") as file:
            file.seek(_APPLICATION_ID_OFFSET)
            return file.read(_APPLICATION_ID_BYTES).decode("ascii", errors="replace").strip()
    except FileNotFoundError:
        return None


def make(path: str, files: dict[str, str]) -> None:
    """Write the drive, whole or not at all; raises ImageError."""
    folder = tempfile.mkdtemp(prefix=".config-drive-", dir=os.path.dirname(path))
    try:
        content = os.path.join(folder, "content")
        os.mkdir(content)
        for name, encoded in files.items():
            _write(content, name, encoded)
        image = os.path.join(folder, "image")
        _build(content, image, digest(files))
        os.chmod(image, 0o600)
        os.rename(image, path)
    finally:
        shutil.rmtree(folder)


def _write(content: str, name: str, encoded: str) -> None:
    """Write one file below the drive's root, with a fixed time."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or not relative.parts or ".." in relative.parts:
        raise ImageError(f"The config drive cannot hold a file named {name!r}: give a path below its root.")
    target = os.path.join(content, *relative.parts)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ImageError(f"The config drive's file {name!r} is not valid base64.") from error
    with open(target, "wb") as file:
        file.write(data)
    os.utime(target, (0, 0))


def _build(content: str, image: str, identifier: str) -> None:
    command = [PROGRAM, "-quiet", "-V", LABEL, "-A", identifier, "-J", "-joliet-long", "-r", "-o", image, content]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"},
        )
    except FileNotFoundError as error:
        raise ImageError(f"{PROGRAM} is missing on the host: install the package {PROGRAM}.") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"The config drive took longer than {TIMEOUT_S} s: look after the host's disk.") from error
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ImageError(f"The config drive cannot be made ({words}): look after the space on the host's disk.")
