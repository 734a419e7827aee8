"""The resident worker: runs our modules without their start-up cost, and reports what happens on the host.

It listens on a unix socket and forks for each connection, so that this process keeps no thread and no handle of
libvirt or netlink. The protocol is in docs/contracts.md, "Resident worker".
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import logging
import os
import pwd
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

# ansible_collections/stratiform/cloud/plugins/worker/resident.py lies in the tree that holds all our code.
TREE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 5))
sys.path.insert(0, TREE)

from ansible_collections.stratiform.cloud.plugins.worker import calls, facts, preload  # noqa: E402

DEFAULT_SOCKET = "/run/stratiform/worker.sock"
DEFAULT_STATE_DIR = "/var/lib/stratiform/host"
PLUGINS = os.path.join(TREE, "ansible_collections", "stratiform", "cloud", "plugins")
BACKLOG = 64

log = logging.getLogger("stratiform-worker")


class ResidentWorker:
    """Accepts connections and forks a process for each."""

    def __init__(self, socket_path: str, state_dir: str) -> None:
        self.socket_path = socket_path
        self.state_dir = state_dir
        self.children: set[int] = set()
        self.modules = preload.tenant_modules()
        self.code_version = code_version()
        self.listener = self._listen()

    def _listen(self) -> socket.socket:
        """Take the socket's place; a file left there by a killed worker is replaced."""
        os.makedirs(os.path.dirname(self.socket_path), mode=0o755, exist_ok=True)
        temporary = f"{self.socket_path}.{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        previous_mask = os.umask(0o177)
        try:
            listener.bind(temporary)
        finally:
            os.umask(previous_mask)
        listener.listen(BACKLOG)
        os.rename(temporary, self.socket_path)
        return listener

    def serve(self) -> NoReturn:
        """Serve until SIGTERM; calls under way are finished first."""
        signal.signal(signal.SIGCHLD, self._reap)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        # Objects made so far never go away: keep the collector from touching, and so copying, their pages.
        gc.collect()
        gc.freeze()
        self._fork(facts.static_facts)
        log.info("listening on %s with %d modules, code %s", self.socket_path, len(self.modules), self.code_version)
        while True:
            connection, _address = self.listener.accept()
            with connection:
                self._fork(lambda client=connection: calls.Connection(client, self).serve())

    def _fork(self, work: object) -> None:
        """Run a callable in a child process."""
        # The child is noted before its end can be handled.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
        pid = os.fork()
        if pid:
            self.children.add(pid)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM})
            return
        code = 1
        try:
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD, signal.SIGTERM})
            self.listener.close()
            assert callable(work)
            work()
            code = 0
        except Exception:
            log.exception("a connection's process failed")
        finally:
            os._exit(code)

    def _reap(self, _number: int, _frame: FrameType | None) -> None:
        while self.children:
            try:
                pid, _status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.children.clear()
                return
            if pid == 0:
                return
            self.children.discard(pid)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """End: no new connections, and each connection's process ends after the call it is in."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.listener.close()
        try:
            os.unlink(self.socket_path)
        except FileNotFoundError:
            log.info("the socket was gone already")
        for pid in self.children:
            os.kill(pid, signal.SIGTERM)
        for pid in self.children:
            os.waitpid(pid, 0)
        sys.exit(0)


def code_version() -> str:
    """A hash of the code that this worker runs."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(PLUGINS, followlinks=True):
        folders.sort()
        for file in sorted(file for file in files if file.endswith(".py")):
            path = os.path.join(folder, file)
            digest.update(os.path.relpath(path, PLUGINS).encode() + b"\0")
            with open(path, "rb") as content:
                digest.update(hashlib.sha256(content.read()).digest())
    return digest.hexdigest()[:16]


def main() -> NoReturn:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Stratiform's resident worker")
    parser.add_argument("--socket", default=DEFAULT_SOCKET, help="unix socket to listen on")
    parser.add_argument(
        "--state-dir", default=DEFAULT_STATE_DIR, help="folder whose file system holds the guests' disks"
    )
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # A service manager may start us without HOME, which programs that modules call rely on.
    os.environ.setdefault("HOME", pwd.getpwuid(os.getuid()).pw_dir)
    ResidentWorker(options.socket, options.state_dir).serve()


if __name__ == "__main__":
    main()
