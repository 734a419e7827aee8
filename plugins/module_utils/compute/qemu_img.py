"""qemu-img under resource limits: it reads files that tenants made."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from typing import Any

PROGRAM = "qemu-img"
MEMORY_LIMIT_BYTES = 1 << 30
CPU_LIMIT_S = 120
TIMEOUT_S = 600
GIB = 1024**3

# qemu-img check: errors were found; 3 means clusters that nobody uses, which do no harm.
_CHECK_CORRUPT = 2
_CHECK_LEAKS = 3


class ImageError(Exception):
    """An image or a disk is not what it should be. The text is a sentence that says what to do."""


def virtual_size(path: str, image_format: str) -> int:
    """The size in bytes that a guest sees."""
    return int(_info(path, image_format)["virtual-size"])


def inspect(path: str, image_format: str) -> None:
    """Refuse what is no sound, self-contained image of the format; raises ImageError."""
    info = _info(path, image_format)
    specific = info.get("format-specific", {}).get("data", {})
    if info.get("backing-filename") or info.get("full-backing-filename"):
        raise ImageError("The image refers to a backing file: flatten it with qemu-img convert and upload it again.")
    if specific.get("data-file"):
        raise ImageError("The image keeps its data in another file: convert it with qemu-img and upload it again.")
    if info.get("encrypted") or specific.get("encrypt"):
        raise ImageError("The image is encrypted, which is not supported: upload it unencrypted.")
    if int(info["virtual-size"]) <= 0:
        raise ImageError("The image is empty: upload a disk image.")
    if image_format == "qcow2":
        _check(path, int(info.get("cluster-size", 0)))


def create(path: str, size_bytes: int, backing: tuple[str, str] | None) -> None:
    """Make a qcow2 disk, whole or not at all; ``backing`` is the path and format of the image below it."""
    temporary = f"{path}.new"
    command = [PROGRAM, "create", "-q", "-f", "qcow2"]
    if backing:
        command += ["-b", backing[0], "-F", backing[1]]
    done = _run([*command, temporary, str(size_bytes)])
    if done.returncode:
        _remove(temporary)
        raise ImageError(f"The disk cannot be made: {_words(done)}. Look after the space on the host's disk.")
    os.chmod(temporary, 0o600)
    os.rename(temporary, path)


def copy(source: str, path: str, size_bytes: int) -> None:
    """Copy a qcow2 disk with its reference to the image below it, and grow it; whole or not at all."""
    temporary = f"{path}.new"
    _remove(temporary)
    done = subprocess.run(
        ["cp", "--reflink=auto", "--sparse=always", "--", source, temporary], stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8", errors="replace", check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    if done.returncode == 0 and size_bytes:
        done = _run([PROGRAM, "resize", "-q", "-f", "qcow2", temporary, str(size_bytes)])
    if done.returncode:
        _remove(temporary)
        raise ImageError(f"The disk cannot be copied: {_words(done)}. Look after the space on the host's disk.")
    os.chmod(temporary, 0o600)
    os.rename(temporary, path)


def flatten(source: str, path: str) -> None:
    """Write a disk with all that lies below it as one qcow2 file; whole or not at all."""
    temporary = f"{path}.new"
    _remove(temporary)
    done = _run([PROGRAM, "convert", "-q", "-f", "qcow2", "-O", "qcow2", source, temporary], limited=False)
    if done.returncode:
        _remove(temporary)
        raise ImageError(f"The disk cannot be read: {_words(done)}. Look after the space on the host's disk.")
    os.chmod(temporary, 0o600)
    os.rename(temporary, path)


def _info(path: str, image_format: str) -> dict[str, Any]:
    # The format is stated, never guessed: what a guest wrote into a raw image must not become a header.
    done = _run([PROGRAM, "info", "--output=json", "-U", "-f", image_format, path])
    if done.returncode:
        raise ImageError(
            f"The image is not a readable {image_format} image ({_words(done)}): check the file and upload it again."
        )
    info: dict[str, Any] = json.loads(done.stdout)
    return info


def _check(path: str, cluster_bytes: int) -> None:
    done = _run([PROGRAM, "check", "--output=json", "-f", "qcow2", path])
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {}
    # What lies behind the end of the file reads as zeros, which the check itself does not mind. Sound images may end
    # within their last cluster, but not before it.
    if int(found.get("image-end-offset", 0)) >= os.path.getsize(path) + cluster_bytes:
        raise ImageError("The image is truncated: upload the whole file again.")
    if done.returncode in (0, _CHECK_LEAKS) and not found.get("corruptions") and not found.get("check-errors"):
        return
    if done.returncode == _CHECK_CORRUPT or found:
        raise ImageError("The image is damaged: repair it with qemu-img check -r all, or upload it again.")
    raise ImageError(f"The image cannot be checked ({_words(done)}): check the file and upload it again.")


def _limit_memory() -> None:
    """In the child: what a guest wrote must not take the host's memory. The time depends on the disk's size."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit() -> None:
    """In the child: hostile files must not take the host's memory or processor."""
    _limit_memory()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))


def _run(command: list[str], limited: bool = True) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S if limited else None,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
            preexec_fn=_limit if limited else _limit_memory,
        )
    except FileNotFoundError as error:
        raise ImageError("qemu-img is missing on the host: install the package qemu-utils.") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(
            f"qemu-img took longer than {TIMEOUT_S} s: look after the host's disk, then try again."
        ) from error


def _words(done: subprocess.CompletedProcess[str]) -> str:
    """What the program said last, on one line."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if lines:
        return lines[-1].strip()[:300]
    return (
        f"it ended with code {done.returncode}"
        if done.returncode >= 0
        else f"it was killed by signal {-done.returncode}"
    )


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
