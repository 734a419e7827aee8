"""Follows what the hosts' resident workers report, and writes it down (docs/contracts.md, "Resident worker").

One connection a host: the worker's unix socket, directly on local hosts, else through a relay over SSH. Heartbeats of
many hosts are written together; what happened to a guest or a port is handed to the observers at once.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import shlex
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from api.config import settings
from api.db.base import utcnow
from api.db.hosts import DOWN_AFTER_S, Host
from api.db.session import Database
from api.engine import actions
from api.engine.actions import ObservedKind

SHORTEST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
SILENCE_S = 35.0
"""A connection without a word for this long (heartbeats come every 10 s) is given up and made anew."""
TOGETHER_S = 1.0
"""Heartbeats wait this long for those of other hosts, to be written in one transaction."""
LINE_LIMIT_BYTES = 8 * 1024 * 1024
REMOTE_SOCKET = "/run/stratiform/worker.sock"
ASK = b'{"op": "observe"}\n'
RELAY = f"""
import os, socket
worker = socket.socket(socket.AF_UNIX)
worker.connect({REMOTE_SOCKET!r})
worker.sendall({ASK!r})
while data := worker.recv(65536):
    os.write(1, data)
"""
_KINDS = ("snapshot", "heartbeat", "domain", "port")
log = logging.getLogger("stratiform.engine.observe")


@dataclass
class Watch:
    """The connection to one host's worker."""

    host: str
    connection: dict[str, Any]
    source: socket.socket | subprocess.Popen[bytes] | None = None
    buffer: bytearray = field(default_factory=bytearray)
    heard_at: float = 0.0
    retry_at: float = 0.0
    retry_after: float = SHORTEST_RETRY_S
    silent_since: float = 0.0
    up: bool | None = None

    def fileno(self) -> int:
        """What to wait for."""
        if isinstance(self.source, subprocess.Popen):
            return self.source.stdout.fileno() if self.source.stdout else -1
        return self.source.fileno() if self.source else -1


class Observation:
    """All hosts' connections, in the engine's loop."""

    def __init__(self, db: Database, selector: selectors.BaseSelector) -> None:
        self.db = db
        self._selector = selector
        self._watches: dict[str, Watch] = {}
        self._pending: list[tuple[str, dict[str, Any]]] = []
        self._flush_at: float | None = None

    def follow(self, hosts: dict[str, dict[str, Any]]) -> None:
        """Watches these hosts (name -> `connection`: Ansible's connection variables) and no others."""
        now = time.monotonic()
        for name in set(self._watches) - set(hosts):
            self._disconnect(self._watches.pop(name))
        for name, host in hosts.items():
            watch = self._watches.get(name)
            if watch is None:
                self._watches[name] = Watch(name, host["connection"], silent_since=now)
            elif watch.connection != host["connection"]:
                watch.connection = host["connection"]
                self._disconnect(watch)
                watch.retry_at = now

    @property
    def due_at(self) -> float:
        """When `step()` is next due (time.monotonic)."""
        times = [time.monotonic() + SILENCE_S]
        if self._flush_at is not None:
            times.append(self._flush_at)
        for watch in self._watches.values():
            times.append(watch.retry_at if watch.source is None else watch.heard_at + SILENCE_S)
            if watch.up is not False:
                times.append(watch.silent_since + DOWN_AFTER_S)
        return min(times)

    def step(self) -> None:
        """Connects, gives up what is silent, and writes what was heard."""
        now = time.monotonic()
        for watch in self._watches.values():
            if watch.source is not None and now - watch.heard_at > SILENCE_S:
                self._lost(watch)
            if watch.source is None and now >= watch.retry_at:
                self._connect(watch)
        if self._flush_at is not None and now >= self._flush_at:
            self._write()
        fallen = [w for w in self._watches.values() if w.up is not False and now - w.silent_since > DOWN_AFTER_S]
        if fallen:
            with self.db.write() as session:
                for watch in fallen:
                    log.warning("host %s is down: nothing heard of it for %d s", watch.host, DOWN_AFTER_S)
                    _tell(session, "host_down", watch.host, {})
            for watch in fallen:
                watch.up = False

    def stop(self) -> None:
        """Closes all connections."""
        for watch in self._watches.values():
            self._disconnect(watch)
        self._watches.clear()

    # --- connections ---

    def _connect(self, watch: Watch) -> None:
        watch.heard_at = time.monotonic()
        try:
            watch.source = self._local() if watch.connection.get("ansible_connection") == "local" else _remote(watch)
        except OSError:
            self._put_off(watch)
            return
        self._selector.register(watch, selectors.EVENT_READ, lambda: self._read(watch))

    def _local(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(settings().run_dir / "worker.sock"))
            connection.sendall(ASK)
            connection.setblocking(False)
        except OSError:
            connection.close()
            raise
        return connection

    def _put_off(self, watch: Watch) -> None:
        watch.retry_at = time.monotonic() + watch.retry_after
        watch.retry_after = min(LONGEST_RETRY_S, watch.retry_after * 2)

    def _lost(self, watch: Watch) -> None:
        self._disconnect(watch)
        self._put_off(watch)

    def _disconnect(self, watch: Watch) -> None:
        if watch.source is None:
            return
        self._selector.unregister(watch)
        if isinstance(watch.source, subprocess.Popen):
            watch.source.kill()
            watch.source.wait()
            if watch.source.stdout:
                watch.source.stdout.close()
        else:
            watch.source.close()
        watch.source = None
        watch.buffer.clear()

    def _read(self, watch: Watch) -> None:
        try:
            data = os.read(watch.fileno(), 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        watch.buffer += data
        if not data or len(watch.buffer) > LINE_LIMIT_BYTES:
            self._lost(watch)
            return
        *lines, rest = bytes(watch.buffer).split(b"\n")
        watch.buffer[:] = rest
        watch.heard_at = time.monotonic()
        for line in lines:
            self._hear(watch, line)

    def _hear(self, watch: Watch, line: bytes) -> None:
        try:
            message = json.loads(line)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            log.error("host %s: its worker said something that is no message", watch.host)
            return
        if kind not in _KINDS:
            return  # a newer worker may know more
        watch.retry_after = SHORTEST_RETRY_S
        self._pending.append((watch.host, message))
        soon = time.monotonic() + (TOGETHER_S if kind == "heartbeat" else 0.0)
        self._flush_at = soon if self._flush_at is None else min(self._flush_at, soon)

    # --- what was heard ---

    def _write(self) -> None:
        """Stores all messages in one transaction; those of a transaction that fails stay for the next try."""
        with self.db.write() as session:
            for host, message in self._pending:
                row = session.get(Host, host)
                if row is not None:
                    self._note(session, row, message)
        now = time.monotonic()
        for host, message in self._pending:
            if (watch := self._watches.get(host)) is not None and "host" in message:
                watch.up, watch.silent_since = True, now
        self._pending.clear()
        self._flush_at = None

    def _note(self, session: Session, row: Host, message: dict[str, Any]) -> None:
        kind: ObservedKind = message["type"]
        if kind in ("snapshot", "heartbeat"):
            facts = message["host"]
            was_up, former_boot = row.is_up(), row.boot_id
            row.heartbeat_at, row.facts, row.boot_id = utcnow(), facts, facts.get("boot_id")
            session.flush()
            if not was_up:
                log.info("host %s is up", row.name)
                _tell(session, "host_up", row.name, message)
            # Told before the snapshot, which shows the guests that did not survive as stopped.
            if former_boot is not None and former_boot != row.boot_id:
                log.info("host %s has restarted", row.name)
                _tell(session, "host_restarted", row.name, message)
        _tell(session, kind, row.name, message)


def _tell(session: Session, kind: ObservedKind, host: str, message: dict[str, Any]) -> None:
    """Hands a message to the observers; what they did is undone when one of them fails."""
    try:
        with session.begin_nested():
            actions.notify(session, kind, host, message)
    except Exception:
        log.exception("host %s: a %s message could not be carried out", host, kind)


def _remote(watch: Watch) -> subprocess.Popen[bytes]:
    """A relay on the host, over SSH with Ansible's own connection settings."""
    settings_ = watch.connection
    command = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=10"]
    command += shlex.split(str(settings_.get("ansible_ssh_common_args", "")))
    for option, name in (("-p", "ansible_port"), ("-l", "ansible_user"), ("-i", "ansible_ssh_private_key_file")):
        if name in settings_:
            command += [option, str(settings_[name])]
    command += [str(settings_.get("ansible_host", watch.host)), f"/usr/bin/python3 -I -c {shlex.quote(RELAY)}"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
    )  # fmt: skip
    if process.stdout is not None:
        os.set_blocking(process.stdout.fileno(), False)
    return process
