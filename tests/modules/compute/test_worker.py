"""The resident worker as a process: calls, killed calls, and what it observes on the real host."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

RunModule = Callable[..., dict[str, Any]]
# What shares the machine's libvirt runs one after another.
pytestmark = pytest.mark.xdist_group("libvirt")


def test_ping(worker: Any) -> None:
    answer = worker.call(op="ping")
    assert answer["ok"] is True
    assert len(answer["code_version"]) == 16


@pytest.mark.parametrize(
    "request_line", [b"no json\n", b"[]\n", b'{"op": "fly"}\n', b'{"op": "run", "module": "no"}\n']
)
def test_nonsense_is_answered(worker: Any, request_line: bytes) -> None:
    with worker.connect() as client:
        client.sendall(request_line)
        assert json.loads(client.makefile("rb").readline())["failed"] is True


def test_only_root_may_speak_to_it(worker: Any) -> None:
    assert worker.socket_path.stat().st_mode & 0o777 == 0o600


def test_run_equals_an_ordinary_run(worker: Any, run_module_cold: RunModule, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("one\ntwo\n")
    args = {"id": "server", "path": str(log), "length": 1}
    assert worker.call(op="run", module="guest_console", args=args) == run_module_cold("guest_console", args)
    wrong = {"path": str(log), "unknown": 1}
    ordinary = run_module_cold("guest_console", wrong)
    by_worker = worker.call(op="run", module="guest_console", args=wrong)
    assert by_worker["failed"] and by_worker["msg"] == ordinary["msg"]


def test_check_mode_and_diff_reach_the_module(worker: Any, tmp_path: Path) -> None:
    server_id = str(uuid.uuid4())
    folder = tmp_path / server_id
    args = {"directories": [{"id": server_id, "path": str(folder)}]}
    planned = worker.call(op="run", module="disk_image", args=args, check_mode=True, diff=True)
    assert planned["changed"] and planned["diff"] and not folder.exists()
    done = worker.call(op="run", module="disk_image", args=args)
    assert done["changed"] and "diff" not in done and folder.exists()


def children(pid: int) -> list[int]:
    """Child processes of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def wait_for_module(worker: Any, path: Path) -> tuple[int, int]:
    """The connection's process and its module's process, once the module waits on the pipe ``path``."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for connection in children(worker.process.pid):
            for module in children(connection):
                if (
                    Path(f"/proc/{module}/wchan").exists()
                    and "wait_for_partner" in Path(f"/proc/{module}/wchan").read_text()
                ):
                    return connection, module
        time.sleep(0.05)
    raise AssertionError(f"no module waits on {path}")


@pytest.fixture
def stuck_call(worker: Any, tmp_path: Path) -> Iterator[tuple[socket.socket, int]]:
    """A call whose module hangs: it reads a pipe that nobody writes to."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with worker.connect() as client:
        call = {"op": "run", "module": "guest_console", "args": {"id": "server", "path": str(pipe)}}
        client.sendall(json.dumps(call).encode() + b"\n")
        _connection, module = wait_for_module(worker, pipe)
        yield client, module


def test_a_killed_module_is_a_sentence_and_the_worker_goes_on(worker: Any, stuck_call: Any) -> None:
    client, module = stuck_call
    os.kill(module, signal.SIGKILL)
    answer = json.loads(client.makefile("rb").readline())
    assert answer["failed"] and "SIGKILL" in answer["msg"]
    assert worker.call(op="ping")["ok"]


def test_a_client_that_hangs_up_ends_its_module(worker: Any, stuck_call: Any) -> None:
    client, module = stuck_call
    client.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{module}").exists():
        assert time.monotonic() < deadline, "the module outlived its client"
        time.sleep(0.05)
    assert worker.call(op="ping")["ok"]


class Stream:
    """A stream of observations."""

    def __init__(self, worker: Any) -> None:
        self.client = worker.connect()
        self.client.sendall(b'{"op": "observe"}\n')
        self.lines = self.client.makefile("rb")

    def next(self, wanted: Callable[[dict[str, Any]], bool], within_s: float) -> dict[str, Any]:
        """The next message that is wanted."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self.client.settimeout(max(0.1, deadline - time.monotonic()))
            message: dict[str, Any] = json.loads(self.lines.readline())
            if wanted(message):
                return message
        raise AssertionError("the message did not come in time")


@pytest.fixture
def stream(worker: Any, libvirt_runs: None) -> Iterator[Stream]:
    """An observation."""
    observing = Stream(worker)
    yield observing
    observing.lines.close()
    observing.client.close()


def test_a_snapshot_comes_at_once_and_heartbeats_follow(stream: Stream) -> None:
    snapshot = stream.next(lambda message: True, 10)
    assert snapshot["type"] == "snapshot"
    facts = snapshot["host"]
    assert facts["vcpus"] == os.cpu_count() and facts["memory_mb"] > 0 and facts["disk_gb"] > 0
    assert facts["virt_type"] in ("kvm", "qemu") and facts["hypervisor_up"] is True
    assert facts["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert isinstance(snapshot["domains"], list)
    heartbeat = stream.next(lambda message: message["type"] == "heartbeat", 12)
    assert heartbeat["host"]["uptime_s"] >= facts["uptime_s"] + 9


def test_a_killed_qemu_and_a_stop_are_told(stream: Stream, run_module: RunModule, guest: dict[str, Any]) -> None:
    def of_guest(event: str) -> Callable[[dict[str, Any]], bool]:
        return lambda message: message.get("id") == guest["id"] and message.get("event") == event

    run_module("libvirt_domain", {"domains": [guest]})
    assert stream.next(of_guest("started"), 10)["power_state"] == "running"
    pid = int(Path(f"/run/libvirt/qemu/{guest['name']}.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    stopped = stream.next(of_guest("stopped"), 10)
    assert (stopped["power_state"], stopped["reason"]) == ("shutdown", "killed")
    run_module("libvirt_domain", {"domains": [guest]})
    # What QEMU does when its guest writes to the power-off register.
    subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", "qemu-monitor-command", guest["id"], "--hmp", "quit"], check=False
    )
    assert stream.next(of_guest("stopped"), 10)["power_state"] == "shutdown"
    run_module("libvirt_domain", {"domains": [{"id": guest["id"], "state": "absent"}]})
    assert stream.next(of_guest("undefined"), 10)["power_state"] == "nostate"


def test_a_taps_carrier_is_told(stream: Stream) -> None:
    stream.next(lambda message: message["type"] == "snapshot", 10)
    name = f"t{uuid.uuid4().hex[:8]}"
    ip = ["ip", "link"]
    subprocess.run([*ip, "add", f"tap{name}", "type", "veth", "peer", "name", f"px{name}"], check=True)
    try:
        subprocess.run([*ip, "set", f"tap{name}", "up"], check=True)
        subprocess.run([*ip, "set", f"px{name}", "up"], check=True)
        assert stream.next(lambda message: message.get("id_prefix") == name, 10)["up"] is True
        subprocess.run([*ip, "set", f"px{name}", "down"], check=True)
        assert stream.next(lambda message: message.get("id_prefix") == name, 10)["up"] is False
    finally:
        subprocess.run([*ip, "del", f"tap{name}"], check=True)
