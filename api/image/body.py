"""A request's body as a stream: plain, chunked, and chunked under uWSGI, which has a way of its own."""

from __future__ import annotations

import contextlib
from typing import Any

from flask import Request

from api.image.upload import BrokenOff

try:
    import uwsgi
except ImportError:  # another WSGI server, which undoes the chunking itself
    uwsgi = None

CHUNK_TIMEOUT_S = 60
DRAIN_BYTES = 64 << 20
"""How much of a refused upload is still read, so that the client gets to read why."""


class RequestBody:
    """The bytes that a client sends. `read` gives b"" at the end, and raises BrokenOff when the client goes away."""

    def __init__(self, request: Request) -> None:
        self._chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower() and uwsgi is not None
        self._stream: Any = request.stream
        self._ended = False
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most `size`."""
        if self._ended:
            return b""
        try:
            data = self._read_chunks(size) if self._chunked else self._stream.read(size)
        except Exception as error:  # each server has its own: OSError, ClientDisconnected, a timeout
            self._ended = True
            raise BrokenOff(f"the connection broke ({error}).") from error
        self._ended = not data
        return bytes(data)

    def _read_chunks(self, size: int) -> bytes:
        """HTTP chunks, small as they may be, gathered to about `size` bytes."""
        parts, length = [self._rest], len(self._rest)
        while length < size and (chunk := uwsgi.chunked_read(CHUNK_TIMEOUT_S)):
            parts.append(chunk)
            length += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]

    def drain(self) -> None:
        """Reads on and forgets, up to DRAIN_BYTES."""
        left = DRAIN_BYTES
        with contextlib.suppress(BrokenOff):
            while left > 0 and (data := self.read(1 << 20)):
                left -= len(data)
