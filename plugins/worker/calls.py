"""One client's connection to the resident worker, served in a process of its own: one call after another."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import select
import signal
import socket
import sys
import time
import traceback
from types import FrameType, ModuleType
from typing import Any, NoReturn, Protocol

from ansible.module_utils import basic

log = logging.getLogger("stratiform-worker")

# How Ansible writes arguments and results of modules that say nothing else; the action plugin uses the same.
SERIALIZATION_PROFILE = "legacy"
PR_SET_PDEATHSIG = 1
TERMINATION_GRACE_S = 5.0
QUOTED_ERROR_CHARACTERS = 2000


class WorkerContext(Protocol):
    """What a connection needs of the worker."""

    modules: dict[str, ModuleType]
    code_version: str
    state_dir: str


class Connection:
    """Serves one client until it hangs up."""

    def __init__(self, client: socket.socket, worker: WorkerContext) -> None:
        self.client = client
        self.worker = worker
        self.in_call = False
        self.stopping = False

    def serve(self) -> None:
        """Answer line after line. SIGTERM ends this after the call under way."""
        end_with_parent()
        signal.signal(signal.SIGTERM, self._stop)
        with self.client, self.client.makefile("rb") as lines:
            for line in lines:
                self.in_call = True
                answer = self._answer(line)
                if answer is None:
                    return
                try:
                    self.client.sendall(answer + b"\n")
                except OSError as error:
                    log.warning("a client went away before its answer: %s", error)
                    return
                self.in_call = False
                if self.stopping:
                    return

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        if not self.in_call:
            os._exit(0)

    def _answer(self, line: bytes) -> bytes | None:
        """The answer to one request; None when the connection is over."""
        try:
            request = json.loads(line)
            operation = request["op"]
        except (ValueError, KeyError, TypeError):
            return failure("The request is not a JSON object with an op.")
        if operation == "ping":
            return json.dumps({"ok": True, "code_version": self.worker.code_version}).encode()
        if operation == "run":
            return self._run(request)
        if operation == "observe":
            # Imported here, in the process that needs it: it loads libvirt.
            from ansible_collections.stratiform.cloud.plugins.worker.observer import Observer

            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            Observer(self.client, self.worker.state_dir).run()
            return None
        return failure(f"The worker knows no op {operation!r}.")

    def _run(self, request: dict[str, Any]) -> bytes | None:
        """Run a module in a child and return its result line; None when the client hung up meanwhile."""
        name = request.get("module")
        module = self.worker.modules.get(name) if isinstance(name, str) else None
        if module is None:
            return failure(f"The worker has no module {name!r}.", unknown_module=True)
        output = os.memfd_create("stdout")
        errors = os.memfd_create("stderr")
        try:
            pid = os.fork()
            if pid == 0:
                self._be_module(module, request, output, errors)
            status = self._wait(pid)
            if status is None:
                return None
            result = last_json_line(read_all(output))
            if result is not None:
                return result
            words = read_all(errors).decode(errors="replace")[-QUOTED_ERROR_CHARACTERS:]
            return failure(
                f"Module {name} {ending(status)} before it had a result: run the job again.", module_stderr=words
            )
        finally:
            os.close(output)
            os.close(errors)

    def _wait(self, pid: int) -> int | None:
        """Wait for the module's end; when the client hangs up first, end the module and return None."""
        process = os.pidfd_open(pid)
        try:
            poller = select.poll()
            poller.register(process, select.POLLIN)
            poller.register(self.client, select.POLLRDHUP)
            while True:
                ready = {descriptor for descriptor, _events in poller.poll()}
                if process in ready:
                    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                if self.client.fileno() in ready:
                    # Whoever asked is gone and its job will be run again: two runs at once must not happen.
                    log.warning("the client hung up: ending its module, process %d", pid)
                    end_group(pid, process)
                    return None
        finally:
            os.close(process)

    def _be_module(self, module: ModuleType, request: dict[str, Any], output: int, errors: int) -> NoReturn:
        """In the child: become the module's process, with the streams that Ansible gives one."""
        try:
            os.setpgid(0, 0)
            end_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.client.close()
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
            os.dup2(output, 1)
            os.dup2(errors, 2)
            run_module(module, request)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)


def run_module(module: ModuleType, request: dict[str, Any]) -> None:
    """Run a module's main() in this process with the arguments of a request; it prints its result."""
    inject_arguments(request)
    try:
        module.main()
    except SystemExit:
        return
    except Exception as error:
        log.exception("module %s failed", request["module"])
        words = f"{type(error).__name__}: {error}"
        print(failure(f"Module {request['module']} stopped with {words}", exception=traceback.format_exc()).decode())


def inject_arguments(request: dict[str, Any]) -> None:
    """Give AnsibleModule its arguments where Ansible's own wrapper puts them."""
    arguments = {
        **(request.get("args") or {}),
        "_ansible_check_mode": bool(request.get("check_mode")),
        "_ansible_diff": bool(request.get("diff")),
        "_ansible_verbosity": int(request.get("verbosity") or 0),
        "_ansible_module_name": request["module"],
        # Keeps the arguments, which hold tenants' secrets, out of the host's log.
        "_ansible_no_log": True,
    }
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = SERIALIZATION_PROFILE


def failure(sentence: str, **more: Any) -> bytes:
    """A module's failure result."""
    return json.dumps({"failed": True, "changed": False, "msg": sentence, **more}).encode()


def last_json_line(output: bytes) -> bytes | None:
    """The last line that is a JSON object: a library may have printed before it."""
    for line in reversed(output.splitlines()):
        if line.startswith(b"{"):
            try:
                json.loads(line)
            except ValueError:
                continue
            return line
    return None


def ending(code: int) -> str:
    """How a process ended, for people."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def read_all(descriptor: int) -> bytes:
    """The whole content of a memory file."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def end_group(pid: int, process: int) -> None:
    """End a child and all that it started: first asked, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            break
        begin = time.monotonic()
        if select.select([process], [], [], TERMINATION_GRACE_S)[0] and number == signal.SIGTERM:
            log.info("process %d ended after %.1f s", pid, time.monotonic() - begin)
            break
    os.waitpid(pid, 0)


def end_with_parent() -> None:
    """Have the kernel end this process when its parent dies, so that a killed worker leaves nothing behind."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
