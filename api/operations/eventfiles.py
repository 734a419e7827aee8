"""A job's events as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html.

An event's id is the offset behind its line in the job's file, so that a client that lost its connection goes on where
it was (Last-Event-ID). The last one, `finished`, carries the operation itself; its id ends with `.end`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import orjson

from api.config import settings
from api.operations.views import Veil

READ_BYTES = 64 * 1024
_ID = re.compile(r"^(\d{1,15})(\.end)?$")


def path_of(job_id: str) -> Path:
    """Where the events of a job are, on the control host whose engine ran it."""
    return settings().state_dir / "jobs" / job_id / "events.jsonl"


def output_of(job_id: str) -> Path:
    """Where the end of what the job's playbook printed is."""
    return settings().state_dir / "jobs" / job_id / "output"


def parse_id(text: str | None) -> tuple[int, bool]:
    """(offset to go on from, whether the end was seen) of a Last-Event-ID; from the beginning when it is none."""
    found = _ID.match(text or "")
    return (int(found[1]), found[2] is not None) if found else (0, False)


def message(event: str, data: Any, id_: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"id: {id_}\n" if id_ is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def read(job_id: str, offset: int, veil: Veil | None) -> tuple[bytes, int]:
    """The events of the whole lines behind `offset`, as they are sent, and the offset behind them."""
    try:
        descriptor = os.open(path_of(job_id), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return b"", offset
    try:
        data = os.pread(descriptor, READ_BYTES, offset)
    finally:
        os.close(descriptor)
    whole = data.rfind(b"\n") + 1
    if whole == 0:
        return b"", offset + len(data) if len(data) == READ_BYTES else offset
    sent = []
    for line in data[:whole].split(b"\n")[:-1]:
        offset += len(line) + 1
        try:
            event = json.loads(line)
            kind = str(event["event"])
        except (ValueError, TypeError, KeyError):
            continue  # cut off by a kill
        shown = {key: value for key, value in event.items() if key != "event"}
        sent.append(message(kind, shown if veil is None else veil.event(shown), str(offset)))
    return b"".join(sent), offset


def size(job_id: str) -> int:
    """Bytes of events that there are so far."""
    try:
        return os.stat(path_of(job_id)).st_size
    except OSError:
        return 0


def steps_as_events(steps: list[dict[str, Any]], veil: Veil | None) -> bytes:
    """The steps of the job's row, for an operation whose file is gone or on another control host."""
    return b"".join(message(step["result"], step if veil is None else veil.event(step)) for step in steps)
