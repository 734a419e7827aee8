"""The host's cache of images: each is fetched once, verified while it is read, inspected, and only then there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.compute import qemu_img
from ansible_collections.stratiform.cloud.plugins.module_utils.compute.qemu_img import ImageError

CHUNK_BYTES = 1 << 20
SOCKET_TIMEOUT_S = 30.0
ATTEMPTS = 4
PAUSE_S = 1.0
_IMAGE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


class ImageCache:
    """Images as files named by their ids in one folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def path(self, image_id: str) -> str:
        """Where the image is, or will be."""
        if not _IMAGE_ID.fullmatch(image_id):
            raise ImageError(f"{image_id!r} is no image id: give the image's UUID.")
        return os.path.join(self.folder, image_id)

    def holds(self, image_id: str) -> bool:
        """Whether the image is there: whole, verified and sound."""
        return os.path.isfile(self.path(image_id))

    def use(self, image_id: str) -> bool:
        """Whether the image is there; then it counts as just asked for, and does not expire for a while."""
        if not self.holds(image_id):
            return False
        with self.locked(image_id):
            if not self.holds(image_id):
                return False
            os.utime(self.path(image_id))
            return True

    def images(self) -> list[str]:
        """The ids of all images that are there."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return sorted(name for name in names if _IMAGE_ID.fullmatch(name) and self.holds(name))

    def locked(self, image_id: str) -> contextlib.AbstractContextManager[None]:
        """Keeps others from fetching or removing the image."""
        return _locked(f"{self.path(image_id)}.lock")

    def fetch(self, image: dict[str, Any]) -> None:
        """Bring an image into the cache; raises ImageError. A download that broke off is resumed."""
        final = self.path(image["id"])
        os.makedirs(self.folder, mode=0o711, exist_ok=True)
        with self.locked(image["id"]):
            if os.path.isfile(final):
                return
            part = f"{final}.part"
            try:
                _download(image, part)
                qemu_img.inspect(part, image["format"])
            except ImageError:
                # What arrived is wrong; the next attempt begins anew.
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part)
                raise
            os.chmod(part, 0o644)
            os.rename(part, final)
            _sync_folder(self.folder)


class _Interrupted(Exception):
    """The download broke off; what arrived is kept."""


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Keep other processes from the same image; the lock ends with its holder."""
    with open(path, "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(image: dict[str, Any], part: str) -> None:
    """Read the image into ``part`` and verify it; transient errors are retried where the last attempt ended."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            digest = _read_into(image, part)
            break
        except (_Interrupted, OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in (28, 122):  # ENOSPC, EDQUOT
                raise ImageError("The host has no space for the image: free some, or choose another host.") from error
            if attempt == ATTEMPTS:
                words = getattr(error, "reason", None) or error
                raise ConnectionError(
                    f"The image cannot be fetched ({words}): see that the image service answers, then try again."
                ) from error
            time.sleep(PAUSE_S * attempt)
    checksum = image.get("checksum")
    if checksum and digest != checksum["value"].lower():
        raise ImageError("The image's checksum is wrong after the download: upload the image again.")


def _read_into(image: dict[str, Any], part: str) -> str:
    """One attempt; the hexadecimal checksum of the whole."""
    digest = hashlib.new(image["checksum"]["algorithm"] if image.get("checksum") else "sha256")
    with open(part, "ab") as file:
        have = _hash_existing(part, digest)
        size = image.get("size_bytes")
        if size is not None and have == size:
            return digest.hexdigest()
        with _open(image, have) as response:
            if have and response.status != _PARTIAL_CONTENT:
                file.truncate(0)
                have = 0
                digest = hashlib.new(digest.name)
            if size is None and response.headers.get("Content-Length"):
                size = have + int(response.headers["Content-Length"])
            while chunk := response.read(CHUNK_BYTES):
                have += len(chunk)
                if size is not None and have > size:
                    raise ImageError("The image is longer than its record says: upload the image again.")
                digest.update(chunk)
                file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if size is not None and have < size:
        raise _Interrupted(f"{have} of {size} bytes arrived")
    return digest.hexdigest()


def _hash_existing(part: str, digest: Any) -> int:
    """Take what an earlier attempt left into the checksum; its length."""
    length = 0
    with open(part, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            length += len(chunk)
    return length


def _open(image: dict[str, Any], offset: int) -> Any:
    """Ask for the image from an offset on. The URL is a secret: no message quotes it."""
    request = urllib.request.Request(image["url"])
    if request.type not in ("https", "http"):
        raise ImageError("The image's URL is neither https nor http: the image service must give one that is.")
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    context = ssl.create_default_context(cafile=image.get("ca_file"))
    # The control plane is never behind the host's web proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        return opener.open(request, timeout=SOCKET_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE:
            raise ImageError("The image has another length than before: run the job again.") from error
        if error.code < 500:
            raise ImageError(
                f"The image service refused the download ({error.code}): see that the image is active, then try again."
            ) from error
        raise _Interrupted(f"the image service answered {error.code}") from error


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: str) -> None:
    """Remove a folder and all in it; one that is gone meanwhile is fine."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)
