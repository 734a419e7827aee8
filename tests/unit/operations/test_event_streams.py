"""Live events over the streams' own server: in order, resumable, bounded, ended with the operation or the server."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from operation_jobs import write_events

from api.config import OperationsSettings, settings
from api.engine import actions, jobs
from api.engine.models import Job
from api.operations import streams as streaming
from api.operations.streams import Streams

URL = "/operations/v1/operations"
Add = Callable[..., str]
Event = tuple[str | None, str, dict[str, Any]]
PATIENCE_S = 30


class Connection(http.client.HTTPConnection):
    """A connection to the server's unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


class Reader:
    """One client's stream."""

    def __init__(self, path: Path, token: str, id_: str, last: str | None = None) -> None:
        self.connection = Connection(path)
        headers = {"X-Auth-Token": token, "Accept": "text/event-stream"} | ({"Last-Event-ID": last} if last else {})
        self.connection.request("GET", f"{URL}/{id_}/events", headers=headers)
        self.answer = self.connection.getresponse()
        self.comments = 0

    def next(self) -> Event | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        while (line := self.answer.readline().decode()) != "":
            line = line.rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                return fields.get("id"), fields["event"], json.loads(fields["data"])
            else:
                fields = {}
        return None

    def rest(self) -> list[Event]:
        found = []
        while (event := self.next()) is not None:
            found.append(event)
        return found

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


@pytest.fixture
def server(cloud: Any) -> Iterator[tuple[Streams, Path]]:
    path = settings().run_dir / "events.sock"
    server = Streams(cloud.app, path)
    server.start()
    yield server, path
    server.stop()


def finish(cloud: Any, id_: str) -> None:
    """The engine's word that the job is done."""
    with cloud.write() as session:
        job = session.query(Job).filter_by(id=id_).one()
        jobs.succeed(session, job, actions.Outcome())


def until(condition: Callable[[], object]) -> None:
    waiting = threading.Event()
    for _ in range(PATIENCE_S * 50):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("waited in vain")


def events_of(number: int) -> list[dict[str, Any]]:
    return [{"event": "begin", "at": "t", "host": "compute7", "task": f"Step {n}"} for n in range(number)]


def test_events_come_live_in_order_and_end_with_the_operation(
    cloud: Any, add_job: Add, server: tuple[Streams, Path]
) -> None:
    id_ = add_job("running")
    write_events(id_, {"event": "start", "at": "t"})
    reader = Reader(server[1], cloud.tokens["member"], id_)
    assert reader.answer.status == 200
    assert reader.answer.headers["Content-Type"].startswith("text/event-stream")
    first = reader.next()
    assert first is not None and first[1] == "operation" and first[2]["state"] == "running"
    assert reader.next() == ("30", "start", {"at": "t"})
    for event in events_of(3):
        write_events(id_, event)
    seen = [reader.next() for _ in range(3)]
    assert [event[2]["task"] for event in seen if event] == ["Step 0", "Step 1", "Step 2"]
    assert all("host" not in event[2] for event in seen if event)
    finish(cloud, id_)
    (last,) = reader.rest()
    assert last[1] == "finished" and last[2]["state"] == "done"
    until(lambda: server[0].count == 0)
    again = Reader(server[1], cloud.tokens["member"], id_, last[0])
    assert again.answer.status == 204


def test_a_lost_connection_goes_on_where_it_was(cloud: Any, add_job: Add, server: tuple[Streams, Path]) -> None:
    id_ = add_job("running")
    write_events(id_, *events_of(500))
    ids: list[str] = []
    last = None
    while len(ids) < 500:
        reader = Reader(server[1], cloud.tokens["member"], id_, last)
        reader.next()
        for _ in range(70):
            event = reader.next() if len(ids) < 500 else None
            if event is not None:
                ids.append(event[2]["task"])
                last = event[0]
        reader.close()
    assert ids == [f"Step {number}" for number in range(500)]
    with write_events(id_).open("ab") as file:
        file.write(b'{"event": "cut off')
    reader = Reader(server[1], cloud.tokens["member"], id_, last)
    finish(cloud, id_)
    assert [event[1] for event in reader.rest()] == ["operation", "finished"]


def test_operators_see_hosts_and_steps_stand_in_for_a_file_that_is_gone(
    cloud: Any, add_job: Add, server: tuple[Streams, Path]
) -> None:
    id_ = add_job("running")
    write_events(id_, *events_of(1))
    reader = Reader(server[1], cloud.tokens["admin"], id_)
    reader.next()
    assert (reader.next() or ("", "", {}))[2]["host"] == "compute7"
    reader.close()
    gone = add_job("failed")
    kinds = [event[1] for event in Reader(server[1], cloud.tokens["admin"], gone).rest()]
    assert kinds == ["operation", "failed", "finished"]


def test_faults_are_those_of_the_api(cloud: Any, add_job: Add, server: tuple[Streams, Path]) -> None:
    id_ = add_job("running")
    for token, which, status in (("nonsense", id_, 401), (cloud.tokens["other"], id_, 404),
                                 (cloud.tokens["member"], "no-such", 404)):  # fmt: skip
        reader = Reader(server[1], token, which)
        assert reader.answer.status == status
        assert json.loads(reader.answer.read())["error"]["code"] == status
    assert server[0].count == 0
    with socket.socket(socket.AF_UNIX) as odd:
        odd.connect(str(server[1]))
        odd.sendall(b"nonsense\r\n\r\n")
        odd.settimeout(PATIENCE_S)
        assert odd.recv(100) == b""


def test_a_project_has_a_limit_and_closed_streams_do_not_count(
    cloud: Any, add_job: Add, server: tuple[Streams, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(settings()), "operations", OperationsSettings(streams_per_project=3, streams=4))
    id_, other = add_job("running"), add_job("running", project_id=cloud.other_project_id)
    readers = [Reader(server[1], cloud.tokens["member"], id_) for _ in range(3)]
    refused = Reader(server[1], cloud.tokens["member"], id_)
    assert refused.answer.status == 429
    assert refused.answer.headers["Retry-After"]
    readers.append(Reader(server[1], cloud.tokens["other"], other))
    assert readers[-1].answer.status == 200
    assert Reader(server[1], cloud.tokens["other"], other).answer.status == 503
    readers[0].close()
    until(lambda: server[0].count == 3)
    assert Reader(server[1], cloud.tokens["member"], id_).answer.status == 200


def test_silence_is_filled_with_comments_and_a_stopping_server_ends_streams(
    cloud: Any, add_job: Add, server: tuple[Streams, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "COMMENT_EVERY_S", 0.05)
    id_ = add_job("running")
    reader = Reader(server[1], cloud.tokens["member"], id_)
    assert (reader.next() or ("", ""))[1] == "operation"
    threading.Timer(0.5, server[0].stop).start()
    assert reader.rest() == []
    assert reader.comments > 0


def test_a_hundred_streams_leave_the_api_as_it_is(cloud: Any, add_job: Add, server: tuple[Streams, Path]) -> None:
    """The streams take no thread of the API's, and each gets all events."""
    id_ = add_job("running")
    threads = threading.active_count()
    readers = [Reader(server[1], cloud.tokens["member"], id_) for _ in range(100)]
    assert threading.active_count() <= threads + 2
    write_events(id_, *events_of(5))
    assert cloud.member.get(f"{URL}/{id_}").status_code == 200
    finish(cloud, id_)
    for reader in readers:
        assert [event[1] for event in reader.rest()] == ["operation", *["begin"] * 5, "finished"]
    until(lambda: server[0].count == 0)
