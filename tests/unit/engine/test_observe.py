"""What workers report becomes rows and is handed to observers; the worker is a socket of the test."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from api.db.hosts import Host
from api.engine import actions, inventory, observe

if TYPE_CHECKING:
    from engine_bench import Bench

FACTS = {"vcpus": 2, "boot_id": "boot-1"}


class Worker:
    """Listens where a host's worker would, and says what the test wants."""

    def __init__(self, bench: Bench) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        bench.run_dir.mkdir(exist_ok=True)
        self.listener.bind(str(bench.run_dir / "worker.sock"))
        self.listener.listen()
        self.listener.settimeout(5)
        self.connection: socket.socket | None = None

    def accept(self) -> None:
        """Takes the next connection, which must ask to observe."""
        self.hang_up()
        self.connection, _ = self.listener.accept()
        assert json.loads(self.connection.recv(100)) == {"op": "observe"}

    def say(self, **message: Any) -> None:
        """Sends one message, in two pieces."""
        assert self.connection is not None
        line = json.dumps(message).encode() + b"\n"
        self.connection.sendall(line[:5])
        self.connection.sendall(line[5:])

    def hang_up(self) -> None:
        """Closes the connection."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Loop:
    """The engine's loop, as far as observation goes."""

    def __init__(self, bench: Bench) -> None:
        self.selector = selectors.DefaultSelector()
        self.observation = observe.Observation(bench.db, self.selector)
        hosts = {"h1": {"groups": ["compute"], "variables": {}, "connection": {"ansible_connection": "local"}}}
        inventory.sync(bench.db, hosts)
        self.observation.follow(hosts)
        self.heard: list[tuple[str, str]] = []

    def until(self, condition: Callable[[], object], timeout_s: float = 5) -> None:
        """Turns until a condition holds."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, self.heard
            for key, _ in self.selector.select(min(0.05, max(0, self.observation.due_at - time.monotonic()))):
                key.data()
            self.observation.step()

    def kinds(self) -> list[str]:
        """The kinds of messages heard."""
        return [kind for kind, _ in self.heard]


@pytest.fixture
def parts(new_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bench, Worker, Loop]]:
    """A database, a worker and a loop that follows it, with observers of every kind."""
    bench = new_bench()
    worker, loop = Worker(bench), Loop(bench)
    monkeypatch.setattr(actions, "_observers", type(actions._observers)(list))
    for kind in ("snapshot", "heartbeat", "domain", "port", "host_up", "host_down", "host_restarted"):

        def listen(session: object, host: str, message: dict[str, Any], kind: str = kind) -> None:
            loop.heard.append((kind, host))
            if message.get("id") == "bad":
                raise RuntimeError("an observer's bug")

        actions.observe(kind, listen)  # type: ignore[arg-type]
    yield bench, worker, loop
    loop.observation.stop()
    loop.selector.close()
    worker.hang_up()
    worker.listener.close()


def row(bench: Bench) -> Host:
    """The only host's row."""
    [host] = bench.hosts()
    return host


def test_messages_become_rows_and_reach_observers(parts: tuple[Bench, Worker, Loop]) -> None:
    bench, worker, loop = parts
    loop.until(lambda: loop.observation._watches["h1"].source)
    worker.accept()
    worker.say(type="snapshot", host=FACTS, domains=[], ports=[])
    loop.until(lambda: "snapshot" in loop.kinds())
    assert loop.kinds() == ["host_up", "snapshot"]
    assert row(bench).facts == FACTS
    assert row(bench).boot_id == "boot-1"
    assert row(bench).is_up()

    worker.say(type="domain", id="bad", power_state="running")
    worker.say(type="domain", id="d1", power_state="running")
    worker.say(type="news of a later version")
    worker.say(type="port", id_prefix="p1", up=True)
    worker.say(type="heartbeat", host={**FACTS, "vcpus": 3})
    loop.until(lambda: "heartbeat" in loop.kinds())
    assert loop.kinds()[2:] == ["domain", "domain", "port", "heartbeat"]
    assert row(bench).facts["vcpus"] == 3


def test_a_restarted_host_is_told_before_its_snapshot(parts: tuple[Bench, Worker, Loop]) -> None:
    _, worker, loop = parts
    loop.until(lambda: loop.observation._watches["h1"].source)
    worker.accept()
    worker.say(type="snapshot", host=FACTS)
    loop.until(lambda: "snapshot" in loop.kinds())
    worker.hang_up()
    loop.until(lambda: not loop.observation._watches["h1"].source)
    loop.heard.clear()
    loop.until(lambda: loop.observation._watches["h1"].source)
    worker.accept()
    worker.say(type="snapshot", host={**FACTS, "boot_id": "boot-2"})
    loop.until(lambda: "snapshot" in loop.kinds())
    assert loop.kinds() == ["host_restarted", "snapshot"]


def test_a_silent_host_goes_down_once_and_comes_up(
    parts: tuple[Bench, Worker, Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, worker, loop = parts
    monkeypatch.setattr(observe, "DOWN_AFTER_S", 0.5)
    monkeypatch.setattr("api.db.hosts.DOWN_AFTER_S", 0.5)
    loop.until(lambda: loop.observation._watches["h1"].source)
    worker.accept()
    loop.until(lambda: loop.kinds() == ["host_down"])
    worker.say(type="heartbeat", host=FACTS)
    loop.until(lambda: len(loop.heard) == 3)
    assert loop.kinds() == ["host_down", "host_up", "heartbeat"]
    loop.until(lambda: len(loop.heard) == 4)
    assert loop.kinds()[-1] == "host_down"
    assert not row(bench).is_up()
