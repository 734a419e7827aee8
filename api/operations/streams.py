"""The event streams' own small HTTP server: one thread with an event loop in the streams process.

Each request's head is handed to the API as WSGI, in a helper thread: it authenticates and authorises like any other
request, and may answer with a fault. When it admits a stream (`stratiform.followed` in the environment), the loop
keeps the connection and sends what the engine's runs append to the job's events file. A stream costs no thread.

HAProxy stands in front and speaks TLS and HTTP/2 with the clients. Requests have no body; each connection is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from api.db.session import database
from api.engine.models import UNFINISHED, Job
from api.operations import eventfiles, views
from api.operations.following import REGISTRY, Followed

LOOK_EVERY_S = 0.2
"""How often the files of followed jobs are looked at."""
STATE_EVERY_S = 1.0
"""How often the database is asked, in one query, whether followed jobs have ended."""
COMMENT_EVERY_S = 15.0
LONGEST_S = 3600.0
"""A stream ends after this time; its client comes back with a token that must still be good."""
STALLED_S = 60.0
"""A client that takes nothing for this long is let go."""
HEAD_LIMIT_BYTES = 64 * 1024
HEAD_WITHIN_S = 15.0
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
log = logging.getLogger("stratiform.streams")


class _Stream:
    """A followed operation with its client."""

    def __init__(self, followed: Followed, writer: asyncio.StreamWriter) -> None:
        self.followed = followed
        self.writer = writer
        self.news = asyncio.Event()
        self.ended = False
        """Whether the operation has ended."""


class Streams:
    """The server. `start()` returns when it listens; `stop()` ends all streams."""

    def __init__(self, app: WsgiApp, path: Path) -> None:
        self._app = app
        self._path = path
        self._registry = REGISTRY
        self._open: set[_Stream] = set()
        self._pool = ThreadPoolExecutor(2, "streams")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._registry.count

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()
        if not self._ready.wait(10):
            raise OSError(f"the event streams' server did not begin to listen on {self._path}")

    def stop(self) -> None:
        """Ends all streams: their clients come back, to whoever serves them then."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(3)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError:
            log.exception("the event streams' server ended")
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        bound = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        bound.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._connected, str(bound), limit=HEAD_LIMIT_BYTES, backlog=128)
        bound.chmod(0o660)
        bound.rename(self._path)
        ticker = asyncio.create_task(self._tick())
        self._ready.set()
        await self._stopping.wait()
        server.close()
        ticker.cancel()
        for stream in list(self._open):
            stream.news.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while self._open:
                    await asyncio.sleep(0.01)

    # --- one connection ---

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
            environ = _environ(head)
            environ["stratiform.streams"] = self._registry
            loop = asyncio.get_running_loop()
            status, headers, body = await loop.run_in_executor(self._pool, _call, self._app, environ)
            followed: Followed | None = environ.get("stratiform.followed")
            if followed is None:
                writer.write(_head(status, [*headers, ("Connection", "close")]) + body)
                await writer.drain()
                return
            try:
                writer.write(_head(status, [(name, value) for name, value in headers if name != "Content-Length"]))
                await self._follow(_Stream(followed, writer), reader)
            finally:
                self._registry.release(followed)
        except (ValueError, TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # no request, or the client is gone
        finally:
            writer.close()

    async def _follow(self, stream: _Stream, reader: asyncio.StreamReader) -> None:
        self._open.add(stream)
        gone = asyncio.create_task(reader.read(1))  # a client that hangs up
        gone.add_done_callback(lambda _: stream.news.set())
        until = asyncio.get_running_loop().time() + LONGEST_S
        try:
            stream.writer.write(b"retry: 1000\n\n")
            job = await self._job(stream.followed.job_id)
            if job is None:
                return
            await self._send(stream, eventfiles.message("operation", views.operation(job, stream.followed.veil)))
            stream.ended = job.state not in UNFINISHED
            while not gone.done() and not self._is_stopping() and asyncio.get_running_loop().time() < until:
                ended = stream.ended  # before the last look at the file
                await self._send_news(stream)
                if ended:
                    await self._finish(stream)
                    return
                stream.news.clear()
                try:
                    async with asyncio.timeout(COMMENT_EVERY_S):
                        await stream.news.wait()
                except TimeoutError:
                    await self._send(stream, b": still here\n\n")
        finally:
            self._open.discard(stream)
            gone.cancel()

    def _is_stopping(self) -> bool:
        return self._stopping is not None and self._stopping.is_set()

    async def _send_news(self, stream: _Stream) -> None:
        """Sends what the file has."""
        followed = stream.followed
        while True:
            data, offset = eventfiles.read(followed.job_id, followed.offset, followed.veil)
            if offset == followed.offset:
                return
            followed.offset = offset
            if data:
                await self._send(stream, data)

    async def _finish(self, stream: _Stream) -> None:
        followed = stream.followed
        job = await self._job(followed.job_id)
        if job is None:
            return
        if not eventfiles.size(job.id) and job.steps:
            await self._send(stream, eventfiles.steps_as_events(job.steps, followed.veil))
        last = eventfiles.message("finished", views.operation(job, followed.veil), f"{followed.offset}.end")
        await self._send(stream, last)

    @staticmethod
    async def _send(stream: _Stream, data: bytes) -> None:
        stream.writer.write(data)
        async with asyncio.timeout(STALLED_S):
            await stream.writer.drain()

    # --- what happens to the jobs ---

    async def _tick(self) -> None:
        """Wakes the streams of jobs whose file has grown or that have ended."""
        state_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            following: dict[str, list[_Stream]] = {}
            for stream in self._open:
                following.setdefault(stream.followed.job_id, []).append(stream)
            for job_id, streams in following.items():
                size = eventfiles.size(job_id)
                for stream in streams:
                    if size > stream.followed.offset:
                        stream.news.set()
            if following and loop.time() >= state_at:
                state_at = loop.time() + STATE_EVERY_S
                for job_id in await loop.run_in_executor(self._pool, _ended, list(following)):
                    for stream in following[job_id]:
                        stream.ended = True
                        stream.news.set()

    async def _job(self, job_id: str) -> Job | None:
        def read() -> Job | None:
            with database().read() as session:
                return session.scalar(select(Job).where(Job.id == job_id))

        return await asyncio.get_running_loop().run_in_executor(self._pool, read)


def _ended(job_ids: list[str]) -> list[str]:
    """Those of the jobs that have ended; none while the database does not answer."""
    try:
        with database().read() as session:
            return list(session.scalars(select(Job.id).where(Job.id.in_(job_ids), Job.state.not_in(UNFINISHED))))
    except DBAPIError:
        log.exception("the database does not answer; looking again")
        return []


def _environ(head: bytes) -> dict[str, Any]:
    """The WSGI environment (PEP 3333) of a request's head; ValueError when it is none."""
    lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, protocol = lines[0].split(" ")
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query, "SERVER_NAME": "localhost", "SERVER_PORT": "443", "SERVER_PROTOCOL": protocol,
        "wsgi.version": (1, 0), "wsgi.url_scheme": "https", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip
    for line in lines[1:]:
        name, _, value = line.partition(":")
        key = name.strip().upper().replace("-", "_")
        if key not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value.strip()
    return environ


def _call(app: WsgiApp, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """The application's status line, headers and body."""
    answered: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        answered[:] = [status, headers]

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if (close := getattr(chunks, "close", None)) is not None:
            close()
    return answered[0], answered[1], body


def _head(status: str, headers: list[tuple[str, str]]) -> bytes:
    code = int(status.split(" ", 1)[0])
    lines = [f"HTTP/1.1 {code} {HTTPStatus(code).phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
