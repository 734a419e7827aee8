"""The keys of tokens: a folder of numbered files, as OpenStack's: 0 is staged, the highest is primary, the rest old.

Every process reads the keys again when the folder changes, so a rotation needs no restart. A staged key is known
everywhere before it signs anything, which is what makes a rotation over several hosts safe.

The engine imports this with the room's service and reads no token, so `cryptography` is loaded on use.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from api.config import settings

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

MAX_ACTIVE_KEYS = 3
STAGED = 0


def folder() -> Path:
    """Where the keys are."""
    return settings().state_dir / "keys" / "fernet"


def set_up() -> bool:
    """Makes the folder, a staged and a primary key where there are none; whether anything changed."""
    path = folder()
    if _numbers(path):
        return False
    make_folder(path)
    _place_key(path, STAGED)
    _place_key(path, STAGED + 1)
    return True


def rotate() -> bool:
    """Makes the staged key the primary one, stages a new key, and forgets all but the MAX_ACTIVE_KEYS newest."""
    if set_up():
        return True
    path = folder()
    numbers = _numbers(path)
    if STAGED in numbers:
        os.replace(path / str(STAGED), path / str(max(numbers) + 1))
    _place_key(path, STAGED)
    old = sorted(number for number in _numbers(path) if number != STAGED)
    for number in old[: max(0, len(old) - (MAX_ACTIVE_KEYS - 1))]:
        (path / str(number)).unlink()
    return True


def encrypt(payload: bytes) -> str:
    """A token's text, without the padding that Fernet's base64 carries."""
    return _crypt().encrypt(payload).rstrip(b"=").decode("ascii")


def decrypt(token: str) -> bytes | None:
    """A token's payload, or None when no key of ours made it."""
    from cryptography.fernet import InvalidToken

    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        return _crypt().decrypt(padded)
    except (InvalidToken, UnicodeEncodeError, ValueError):
        return None


@dataclass(frozen=True)
class _Loaded:
    path: Path
    changed_ns: int
    crypt: MultiFernet


_loaded: _Loaded | None = None
_lock = threading.Lock()


def _crypt() -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet

    global _loaded
    path = folder()
    changed_ns = path.stat().st_mtime_ns
    known = _loaded
    if known is not None and known.changed_ns == changed_ns and known.path == path:
        return known.crypt
    with _lock:
        numbers = _numbers(path)
        primary_first = sorted((number for number in numbers if number != STAGED), reverse=True)
        order = primary_first + [number for number in numbers if number == STAGED]
        crypt = MultiFernet([Fernet((path / str(number)).read_bytes().strip()) for number in order])
        _loaded = _Loaded(path, changed_ns, crypt)
        return crypt


def _numbers(path: Path) -> list[int]:
    if not path.is_dir():
        return []
    return sorted(int(entry.name) for entry in path.iterdir() if entry.name.isascii() and entry.name.isdigit())


def make_folder(path: Path) -> None:
    """Makes a folder of keys, which only the owner of the folder above it reads."""
    missing = [part for part in (path, *path.parents) if not part.exists()]
    owner = next(part for part in path.parents if part.exists()).stat()
    for part in reversed(missing):
        part.mkdir(mode=0o700, exist_ok=True)
        _give_to(part, owner)


def _place_key(path: Path, number: int) -> None:
    temporary = path / f".{number}.new"
    write_key(temporary)
    os.replace(temporary, path / str(number))


def write_key(path: Path) -> None:
    """Writes a new key into a file, durably; the folder's owner reads it."""
    from cryptography.fernet import Fernet

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key())
        file.flush()
        os.fsync(file.fileno())
    _give_to(path, path.parent.stat())


def _give_to(path: Path, owner: os.stat_result) -> None:
    """Run by root, the commands leave files that the API's user can read."""
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)
