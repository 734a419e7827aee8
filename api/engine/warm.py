"""The warm process: has Ansible, our plugins and the inventory loaded, and forks for each run.

Started by the engine as `python -m api.engine.warm <socket> <project> <inventory> <the engine's pid>`; says `ready` on
stdout once it listens. One message a connection (SOCK_SEQPACKET):

- `run` (from the engine): forks a process that runs ansible-runner in a process group of its own; answers
  `{"pid", "started"}` at once and `{"code"}` at the end. Whoever hangs up before that ends the run.
- `play` (from ansible-runner's command, warm_client.py): forks a process that runs the playbook, in the caller's group.
- `inventory` (from the engine): answers with a descriptor of a file with hosts, groups and variables.

SIGTERM: no new runs, ends with the last one under way. Every fork dies with this process, and this one with the engine.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import random
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from api.engine import processes, runner, warm_client

MESSAGE_LIMIT_BYTES = 192 * 1024
log = logging.getLogger("stratiform.engine.warm")


@dataclass
class Child:
    """A forked process and who waits for its end."""

    pid: int
    connection: socket.socket
    leads_group: bool


class Warm:
    """Forks for runs and plays; holds no thread and, but for its connections, no open file."""

    def __init__(self, path: str, project_dir: str, inventory: str) -> None:
        from api.engine.warm_ansible import Ansible

        self.path = path
        self.ansible = Ansible(inventory, project_dir)
        self.children: dict[int, Child] = {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mask = os.umask(0o177)
        try:
            self.listener.bind(path)
        finally:
            os.umask(mask)
        self.listener.listen(128)
        self.wakeup, self._wakeup_writer = socket.socketpair()
        self.draining = False

    def serve(self) -> None:
        """Serves until SIGTERM and the end of the last run."""
        self._wakeup_writer.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._drain)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(self.wakeup, selectors.EVENT_READ, self._reap)
        gc.collect()
        gc.freeze()  # what all runs share is neither scanned nor copied by them
        print("ready", flush=True)
        while self.children or not self.draining:
            for key, _ in self.selector.select():
                key.data()

    def _drain(self, *_: object) -> None:
        self.draining = True

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        self.selector.register(connection, selectors.EVENT_READ, lambda: self._first_message(connection))

    def _first_message(self, connection: socket.socket) -> None:
        self.selector.unregister(connection)
        try:
            message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_LIMIT_BYTES, 3)
        except OSError:
            message, descriptors = b"", []
        kind, _, rest = message.partition(b"\0")
        if kind == b"run":
            self._run(connection, rest)
        elif kind == b"play" and len(descriptors) == 3:
            self._play(connection, rest, descriptors)
        elif kind == b"inventory":
            self._send_inventory(connection)
        else:
            connection.close()
        for descriptor in descriptors:
            os.close(descriptor)

    def _send_inventory(self, connection: socket.socket) -> None:
        file = os.memfd_create("inventory", os.MFD_CLOEXEC)
        try:
            os.write(file, json.dumps(self.ansible.hosts).encode())
            with contextlib.suppress(OSError):
                socket.send_fds(connection, [b"inventory"], [file])
        finally:
            os.close(file)
            connection.close()

    def _run(self, connection: socket.socket, message: bytes) -> None:
        spec = runner.loads(message)
        command = [sys.executable, "-I", "-S", warm_client.__file__, self.path]
        pid = self._fork(lambda: runner.run(spec, command), group=0)
        self._watch(Child(pid, connection, leads_group=True))
        with contextlib.suppress(OSError):  # it hung up: seen by its end of file
            connection.send(json.dumps({"pid": pid, "started": processes.start_ticks(pid)}).encode())

    def _play(self, connection: socket.socket, message: bytes, stdio: list[int]) -> None:
        folder, count, *fields = message.split(b"\0")
        arguments = [os.fsdecode(field) for field in fields[: int(count)]]
        variables = dict(field.split(b"=", 1) for field in fields[int(count) :])
        caller, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))

        def play() -> int:
            for number, descriptor in enumerate(stdio):
                os.dup2(descriptor, number)
            os.chdir(folder)
            os.environb.clear()
            os.environb.update(variables)
            return self.ansible.play(arguments)

        try:
            group = os.getpgid(caller)
        except ProcessLookupError:
            connection.close()
            return
        self._watch(Child(self._fork(play, group), connection, leads_group=False))

    def _watch(self, child: Child) -> None:
        self.children[child.pid] = child
        self.selector.register(child.connection, selectors.EVENT_READ, lambda: self._hung_up(child))

    def _end_orphans(self) -> None:
        """One of a run's forks was killed: what it would have ended itself is this process's child now."""
        for pid in processes.children(os.getpid()):
            if pid not in self.children:
                processes.send(processes.members(pid), signal.SIGKILL)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _hung_up(self, child: Child) -> None:
        """Nobody waits for this run any more: its engine is gone, or its client was killed."""
        self.selector.unregister(child.connection)
        child.connection.close()
        if child.leads_group:
            processes.send(processes.members(child.pid), signal.SIGKILL)
        else:
            os.kill(child.pid, signal.SIGKILL)  # not reaped yet, so it is still ours

    def _fork(self, work: Callable[[], int], group: int) -> int:
        """Runs `work` in a child within process group `group` (0: one of its own); its pid."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._in_child(work, group, parent)
        with contextlib.suppress(OSError):  # the child does the same: whoever comes first
            os.setpgid(pid, group or pid)
        return pid

    def _in_child(self, work: Callable[[], int], group: int, parent: int) -> NoReturn:
        code = 255
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.setpgid(0, group)
            processes.end_with_parent(signal.SIGKILL, parent)
            self._close_inherited()
            random.seed()
            code = runner.leaving_nothing(work)
            sys.stdout.flush()
            sys.stderr.flush()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # noqa: BLE001 (a fork must end here, whatever happens)
            traceback.print_exc()
        finally:
            # Never back into the parent's loop, nor through its exit handlers, which would remove what others use.
            os._exit(code if 0 <= code < 128 else 137)

    def _close_inherited(self) -> None:
        for key in list(self.selector.get_map().values()):
            os.close(key.fd)
        self.selector.close()
        self._wakeup_writer.close()

    def _reap(self) -> None:
        self.wakeup.recv(4096)
        if self.draining and self.listener.fileno() != -1:
            self.selector.unregister(self.listener)
            self.listener.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        while True:
            try:
                # Seen, but not reaped yet: until then its number, which its group bears, is not given anew.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            self._ended(ended)

    def _ended(self, ended: Any) -> None:
        child = self.children.pop(ended.si_pid, None)
        if child is None:
            os.waitpid(ended.si_pid, 0)  # left behind by a run, and adopted
            return
        if child.leads_group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        if ended.si_code != os.CLD_EXITED:
            self._end_orphans()
        os.waitpid(child.pid, 0)
        code = ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status
        if child.connection.fileno() == -1:
            return
        self.selector.unregister(child.connection)
        answer = json.dumps({"code": code}).encode() if child.leads_group else b"%d" % code
        with contextlib.suppress(OSError):
            child.connection.send(answer)
        child.connection.close()


def main() -> int:
    """Serves as the module's docstring says."""
    path, project_dir, inventory, parent = sys.argv[1:5]
    processes.end_with_parent(signal.SIGKILL, int(parent))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    os.environ.pop("PYTHONPATH", None)  # it led to this package; runs find what they need by themselves
    os.setsid()
    processes.adopt_orphans()
    Warm(path, project_dir, inventory).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
