"""The image store: one file an image below `state_dir/images`, and `<id>.<token>.part` while an upload runs.

The uploader holds a lock (flock) on its file until the row is committed, so whoever finds an image `saving` and gets
the lock knows that the uploader died.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api.config import settings

PART = ".part"
YOUNG_S = 60
"""A file younger than this may belong to an upload whose transaction is just beginning: sweeping leaves it alone."""


def directory() -> Path:
    """Where the files are. The first upload makes it: only the streams worker writes there, so it must own it."""
    return settings().state_dir / "images"


def path_of(image_id: str) -> Path:
    """An image's file. `image_id` is from the database, where only UUIDs are."""
    return directory() / image_id


def part_of(image_id: str, token: str) -> Path:
    """The file of an upload under way."""
    return directory() / f"{image_id}.{token}{PART}"


@dataclass
class Upload:
    """A locked, growing file that becomes an image's, or goes without a trace."""

    image_id: str
    token: str
    descriptor: int
    published: bool = False

    def write(self, chunk: bytes) -> None:
        """Appends `chunk`; raises OSError (ENOSPC, EDQUOT) when the disk is full."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def publish(self) -> None:
        """Makes the bytes durable under the image's own name: file first, then the directory's entry."""
        os.fsync(self.descriptor)
        os.rename(part_of(self.image_id, self.token), path_of(self.image_id))
        self.published = True
        _sync_directory()

    def discard(self) -> None:
        """Removes the bytes, published or not; another upload's bytes under the image's name stay."""
        for path in (part_of(self.image_id, self.token), path_of(self.image_id)):
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(self.descriptor)):
                    path.unlink()


@contextlib.contextmanager
def uploading(image_id: str, token: str) -> Iterator[Upload]:
    """A new upload file, locked until the block ends."""
    directory().mkdir(mode=0o750, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(part_of(image_id, token), flags, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Upload(image_id, token, descriptor)
    finally:
        os.close(descriptor)


def is_uploading(image_id: str, token: str) -> bool:
    """Whether the process that uploads is alive. The file changes its name just before the row is committed."""
    return any(_is_locked(path) for path in (part_of(image_id, token), path_of(image_id)))


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove(image_id: str) -> None:
    """Removes an image's file, if there is one. Downloads under way keep their open file."""
    with contextlib.suppress(FileNotFoundError):
        path_of(image_id).unlink()
        _sync_directory()


def strays(kept: set[str], *, now: float | None = None) -> list[Path]:
    """Files that belong to no image of `kept` (ids of images that have bytes) and to no living upload."""
    found: list[Path] = []
    if not directory().exists():
        return found
    for entry in os.scandir(directory()):
        if entry.name in kept or not entry.is_file(follow_symlinks=False):
            continue
        with contextlib.suppress(FileNotFoundError):
            age_s = (now or time.time()) - entry.stat().st_ctime  # publishing renews it, mtime it would not
            if age_s > YOUNG_S and not _is_locked(Path(entry.path)):
                found.append(Path(entry.path))
    return found


def _sync_directory() -> None:
    descriptor = os.open(directory(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
