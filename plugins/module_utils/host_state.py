"""What our modules keep on a host: files written whole or not at all, and the generations of objects stated whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any

HOST_DIR = "/var/lib/stratiform/host"
NETWORK_DIR = f"{HOST_DIR}/network"
GENERATIONS_DIR = f"{NETWORK_DIR}/generations"
LISTENERS_DIR = f"{HOST_DIR}/metadata/listeners"

# A removed object's generation is kept for this many jobs; no run is delayed for longer than that.
REMEMBERED_JOBS = 100_000
_WHOLE = "*"


def read_file(path: str) -> str | None:
    """A file's text, None when there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def read_json(path: str) -> Any:
    """A JSON file's content, None when there is none or when it is damaged: all that we keep so can be made again."""
    text = read_file(path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def write_file(path: str, text: str, mode: int = 0o644) -> None:
    """Replace a file at once, making its folder: a reader, or a run after a crash, sees the old or the new text."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_json(path: str, content: Any, mode: int = 0o600) -> None:
    """Replace a JSON file at once."""
    write_file(path, json.dumps(content, sort_keys=True) + "\n", mode)


def remove_file(path: str) -> bool:
    """Remove a file; False when there was none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def fingerprint(text: str) -> str:
    """A short hash that tells two texts apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of this host: a run that was left alone by a killed engine ends before its repetition begins."""
    os.makedirs(GENERATIONS_DIR, mode=0o755, exist_ok=True)
    with open(f"{GENERATIONS_DIR}/{name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Generations:
    """The newest job that stated each object of one module, so that an older job's late run changes nothing.

    Use as a context manager: it holds the module's lock on this host. ``generation`` None (a call by hand) is never
    refused and leaves no trace. In check mode nothing is written.
    """

    def __init__(self, module_name: str, generation: int | None, check_mode: bool) -> None:
        self.path = f"{GENERATIONS_DIR}/{module_name}.json"
        self.module_name = module_name
        self.generation = generation
        self.check_mode = check_mode
        self.stale_ids: list[str] = []
        self._known: dict[str, int] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Generations:
        if not self.check_mode:
            self._stack.enter_context(locked(self.module_name))
        known = read_json(self.path)
        self._known = known if isinstance(known, dict) else {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def newer_known(self, object_id: str = _WHOLE) -> bool:
        """Whether a newer job has stated this object (or everything) already."""
        if self.generation is None:
            return False
        return max(self._known.get(object_id, 0), self._known.get(_WHOLE, 0)) > self.generation

    def refuses(self, object_id: str = _WHOLE) -> bool:
        """As :meth:`newer_known`, and note the object: as stale, or as stated by this job."""
        if self.newer_known(object_id):
            if object_id not in self.stale_ids:
                self.stale_ids.append(object_id)
            return True
        if self.generation is not None:
            self._known[object_id] = self.generation
        return False

    def save(self) -> None:
        """Keep what was noted. Called before the first change, so that no older run can follow a half-made one."""
        if self.generation is None or self.check_mode:
            return
        oldest = self.generation - REMEMBERED_JOBS
        kept = {name: number for name, number in self._known.items() if number >= oldest or name == _WHOLE}
        if kept != read_json(self.path):
            write_json(self.path, kept)

    def report(self) -> dict[str, Any]:
        """The module's return values about generations."""
        return {"stale": True, "stale_ids": sorted(self.stale_ids)} if self.stale_ids else {"stale": False}
