"""The image stores: folders with one file an image, by default one below `state_dir`.

Beside them lie `<id>.<token>.part` while an upload runs, and `<id>.staged` with bytes that wait to be imported.

The uploader holds a lock (flock) on its file until the row is committed, so whoever finds an image `saving` and gets
the lock knows that the uploader died.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from api.config import settings

PART = ".part"
STAGED = ".staged"
DEFAULT = "file"
YOUNG_S = 60
"""A file younger than this may belong to an upload whose transaction is just beginning: sweeping leaves it alone."""


def directories() -> dict[str, Path]:
    """The stores by id, the default one first."""
    given = settings().image.stores
    return {name: Path(path) for name, path in given.items()} if given else {DEFAULT: settings().state_dir / "images"}


def default_store() -> str:
    """The store that bytes go to when nobody says which."""
    return next(iter(directories()))


def directory(store: str | None = None) -> Path:
    """Where a store's files are. The first upload makes it: only the streams worker writes there, so must own it."""
    return directories()[store or default_store()]


def path_of(image_id: str, store: str | None = None) -> Path:
    """An image's file. `image_id` is from the database, where only UUIDs are."""
    return directory(store) / image_id


def part_of(image_id: str, token: str, store: str | None = None) -> Path:
    """The file of an upload under way."""
    return directory(store) / f"{image_id}.{token}{PART}"


def staged_of(image_id: str) -> Path:
    """Bytes that wait to be imported."""
    return directory() / f"{image_id}{STAGED}"


@dataclass
class Upload:
    """A locked, growing file (`part`) that takes its `place`, or goes without a trace."""

    part: Path
    place: Path
    descriptor: int
    published: bool = False

    def write(self, chunk: bytes) -> None:
        """Appends `chunk`; raises OSError (ENOSPC, EDQUOT) when the disk is full."""
        view = memoryview(chunk)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def publish(self) -> None:
        """Makes the bytes durable under their own name: file first, then the directory's entry."""
        os.fsync(self.descriptor)
        os.rename(self.part, self.place)
        self.published = True
        _sync_directory(self.place.parent)

    def discard(self) -> None:
        """Removes the bytes, published or not; another upload's bytes under the same name stay."""
        for path in (self.part, self.place):
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(self.descriptor)):
                    path.unlink()

    def close(self) -> None:
        """Lets the lock go."""
        os.close(self.descriptor)


def begin(image_id: str, token: str, store: str | None = None, *, place: Path | None = None) -> Upload:
    """A new upload file, locked until it is closed; `place` is where it goes, by default the image's own file."""
    directory(store).mkdir(mode=0o750, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    part = part_of(image_id, token, store)
    descriptor = os.open(part, flags, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return Upload(part, place or path_of(image_id, store), descriptor)


@contextlib.contextmanager
def uploading(
    image_id: str, token: str, store: str | None = None, *, place: Path | None = None
) -> Iterator[Upload]:
    """A new upload file, locked until the block ends."""
    upload = begin(image_id, token, store, place=place)
    try:
        yield upload
    finally:
        upload.close()


def is_uploading(image_id: str, token: str) -> bool:
    """Whether the process that uploads is alive. The file changes its name just before the row is committed."""
    places = [path for store in directories() for path in (part_of(image_id, token, store), path_of(image_id, store))]
    return any(_is_locked(path) for path in (*places, staged_of(image_id)))


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


def remove(image_id: str, stores: Iterable[str] | None = None) -> None:
    """Removes an image's files (those in `stores`), if there are any. Downloads under way keep their open file."""
    for store in directories() if stores is None else stores:
        _unlink(path_of(image_id, store))
    if stores is None:
        _unlink(staged_of(image_id))


def remove_staged(image_id: str) -> None:
    """Removes what waited to be imported."""
    _unlink(staged_of(image_id))


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        _sync_directory(path.parent)


def open_for_reading(image_id: str, stores: Iterable[str]) -> int:
    """A descriptor of the image's file in the first of the stores that has it; FileNotFoundError when none has."""
    for store in stores:
        if store in directories():
            with contextlib.suppress(FileNotFoundError):
                return os.open(path_of(image_id, store), os.O_RDONLY | os.O_CLOEXEC)
    raise FileNotFoundError(image_id)


def strays(kept: set[str], store: str | None = None, *, now: float | None = None) -> list[Path]:
    """A store's files that are neither of `kept` (names: ids of images that have bytes) nor of a living upload."""
    found: list[Path] = []
    if not directory(store).exists():
        return found
    for entry in os.scandir(directory(store)):
        if entry.name in kept or not entry.is_file(follow_symlinks=False):
            continue
        with contextlib.suppress(FileNotFoundError):
            age_s = (now or time.time()) - entry.stat().st_ctime  # publishing renews it, mtime it would not
            if age_s > YOUNG_S and not _is_locked(Path(entry.path)):
                found.append(Path(entry.path))
    return found


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
