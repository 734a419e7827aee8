"""Secrets that identity must be able to give back (credentials), encrypted with a key that is not in the database.

The key is `<state_dir>/keys/credential/0`, made when it is first needed. With several control hosts, copy the folder.
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from api.config import settings
from api.identity import fernet

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY = "0"


def seal(text: str) -> str:
    """The text, encrypted."""
    return _box(_folder()).encrypt(text.encode()).decode("ascii")


def unseal(sealed: str) -> str:
    """What was sealed; cryptography's InvalidToken when the key is another one."""
    return _box(_folder()).decrypt(sealed.encode("ascii")).decode()


def _folder() -> Path:
    return settings().state_dir / "keys" / "credential"


@functools.lru_cache(maxsize=1)
def _box(folder: Path) -> Fernet:
    from cryptography.fernet import Fernet

    if not (folder / KEY).exists():
        fernet.make_folder(folder)
        temporary = folder / f".{KEY}.{os.getpid()}"
        fernet.write_key(temporary)
        with contextlib.suppress(FileExistsError):  # another process was first, and its key holds
            os.link(temporary, folder / KEY)
        temporary.unlink()
    return Fernet((folder / KEY).read_bytes().strip())
