"""Removes cached images that no guest's disk stands on and that nobody asked for of late."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator

from ansible_collections.stratiform.cloud.plugins.module_utils.compute.image_cache import ImageCache

_QCOW2 = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQI")  # magic, version, offset and length of the backing file's name (QEMU, qcow2.rst)
_LONGEST_NAME = 1023


def backing_file(path: str) -> str | None:
    """The file that a qcow2 file stands on; None for one that stands by itself, and for other formats."""
    with open(path, "rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        magic, _version, offset, length = _HEADER.unpack(header)
        if magic != _QCOW2 or not offset or length > _LONGEST_NAME:
            return None
        file.seek(offset)
        name = os.fsdecode(file.read(length))
    return os.path.realpath(os.path.join(os.path.dirname(path), name))


def used(instances_dir: str) -> set[str]:
    """The files that disks below the folder stand on; OSError when one cannot be read."""
    return {backing for path in _files(instances_dir) if (backing := backing_file(path)) is not None}


def _files(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for where, _, names in os.walk(folder, onerror=refuse):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def expire(cache: ImageCache, instances_dir: str, age_s: float, agreed: Callable[[str], bool]) -> None:
    """Removes what was last asked for more than `age_s` ago and is not used; `agreed` is asked for each.

    A disk that is just being made on an image is safe: who wants an image makes it young first, under its lock. When
    the disks cannot be read, OSError is raised and nothing is removed.
    """
    for image_id in cache.images():
        with cache.locked(image_id):
            path = cache.path(image_id)
            if not _is_old(path, age_s) or os.path.realpath(path) in used(instances_dir):
                continue
            if agreed(image_id):
                os.unlink(path)


def _is_old(path: str, age_s: float) -> bool:
    try:
        return time.time() - os.stat(path).st_mtime > age_s
    except FileNotFoundError:
        return False
