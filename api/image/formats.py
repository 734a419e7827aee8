"""What an upload really is: the bytes are looked at as they pass, and must be what the image says they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from oslo_utils.imageutils import format_inspector

from api.image import qcow2

ACCEPTED: dict[str, frozenset[str]] = {
    "qcow2": frozenset({"qcow2"}),
    "raw": frozenset({"raw", "gpt"}),
    "iso": frozenset({"iso", "gpt"}),  # an ISO that boots from a stick has a partition table too
    "ami": frozenset({"raw", "gpt"}),
    "ari": frozenset({"raw", "gpt"}),
    "aki": frozenset({"raw", "gpt"}),
}
"""Declared disk format -> the contents that it may have. `gpt` is any partition table, `raw` nothing that is known."""
_NEEDED = {"qcow2": "qcow2", "iso": "iso"}
_REASONS = {
    "backing_file": "it has a backing file",
    "data_file": "it has an external data file",
    "unknown_features": "it uses features that are not supported",
}


class BadContent(Exception):
    """Why an upload is refused, in a sentence for its owner."""


class Source(Protocol):
    """Where bytes come from; b"" is the end."""

    def read(self, size: int, /) -> bytes: ...


class Inspection:
    """Reads from `source` and watches the bytes go by."""

    def __init__(self, source: Source, disk_format: str) -> None:
        self._format = disk_format
        wrapped: Any = source
        self._wrapper = format_inspector.InspectWrapper(wrapped, expected_format=_NEEDED.get(disk_format))

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; raises BadContent as soon as they cannot be the declared format."""
        try:
            return self._wrapper.read(size)
        except format_inspector.ImageFormatError:
            raise BadContent(f"The image says that it is {self._format}, but its content is not.") from None

    def finish(self, descriptor: int, size: int) -> int:
        """The virtual size in bytes of the whole file behind `descriptor`; raises BadContent."""
        if not size:
            raise BadContent("The image is empty.")
        self._wrapper.close()
        found = {str(inspector): inspector for inspector in self._wrapper.formats or ()}
        wrong = set(found) - ACCEPTED[self._format]
        needed = _NEEDED.get(self._format)
        if wrong or (needed and needed not in found):
            names = " and ".join(sorted(wrong or found)) or "something unknown"
            raise BadContent(f"The image says that it is {self._format}, but its content is {names}.")
        if needed != "qcow2":
            return size
        _check_safety(found["qcow2"])
        try:
            return qcow2.check(descriptor, size)
        except qcow2.BadQcow2 as error:
            raise BadContent(f"The qcow2 image cannot be used: {error}") from None


def _check_safety(inspector: format_inspector.FileInspector) -> None:
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        names: Iterable[str] = sorted(error.failures)
        reasons = " and ".join(_REASONS.get(name, name) for name in names)
        raise BadContent(f"The qcow2 image is refused: {reasons}. Convert it with qemu-img convert -O qcow2.") from None
