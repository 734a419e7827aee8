"""Programs under systemd or supervisor: one description, two managers, one test whether the right one runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.stratiform.cloud.plugins.module_utils.deploy.managers import (
    MARK,
    Manager,
    ServiceError,
    Supervisor,
    Systemd,
)

__all__ = ["SERVICE_OPTIONS", "Outcome", "ServiceError", "choose_manager", "converge"]

SERVICE_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "description": {"type": "str", "default": ""},
    "command": {"type": "list", "elements": "str", "default": []},
    "user": {"type": "str", "default": "root"},
    "environment": {"type": "dict", "default": {}},
    "directory": {"type": "path", "default": "/"},
    "kind": {"type": "str", "choices": ["daemon", "oneshot"], "default": "daemon"},
    "after": {"type": "list", "elements": "str", "default": []},
    "keep_children": {"type": "bool", "default": False},
    "systemd_unit": {"type": "str"},
    "adopt": {"type": "bool", "default": False},
    "stop_timeout_s": {"type": "int", "default": 15},
    "fingerprint": {"type": "str", "default": ""},
    "ready_socket": {"type": "path"},
    "ready_port": {"type": "int"},
    "ready_address": {"type": "str", "default": "127.0.0.1"},
    "ready_timeout_s": {"type": "int", "default": 60},
    "state": {"type": "str", "choices": ["started", "absent"], "default": "started"},
}

# What decides about a restart: not how long we wait for it, nor how it is described.
RUNNING_KEYS = ("command", "user", "environment", "directory", "fingerprint")


@dataclass
class Outcome:
    """What was done to one program, and its unit before and after."""

    actions: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""


def choose_manager(wanted: str, run_command: Callable[..., tuple[int, str, str]], log_directory: str) -> Manager:
    """systemd where it is PID 1 (sd_booted(3)), else supervisor."""
    if wanted == "auto":
        wanted = "systemd" if os.path.isdir("/run/systemd/system") else "supervisor"
    return Systemd(run_command, log_directory) if wanted == "systemd" else Supervisor(run_command, log_directory)


def mark_of(service: dict[str, Any]) -> str:
    """What a running process of this service carries in its environment: its name and a fingerprint."""
    text = json.dumps({key: service[key] for key in RUNNING_KEYS}, sort_keys=True, default=str)
    return f"{service['name']}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def running_mark(pid: int) -> str | None:
    """The mark in a process's environment; None when there is no such process or it has none."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    prefix = MARK.encode() + b"="
    return next((variable[len(prefix) :].decode() for variable in variables if variable.startswith(prefix)), None)


def settled_mark(pid: int) -> str | None:
    """The mark of a process that may have been forked a moment ago and not yet become its program."""
    for _ in range(20):
        if (mark := running_mark(pid)) is not None:
            return mark
        time.sleep(0.05)
    return None


def answers(service: dict[str, Any]) -> bool:
    """Whether the program accepts connections where it should. True when nothing was said about it."""
    if service["ready_socket"]:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(2)
            probe.connect(service["ready_socket"])
            return True
        return False
    if service["ready_port"]:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((service["ready_address"], service["ready_port"]), 2),
        ):
            return True
        return False
    return True


def wait_until_ready(manager: Manager, service: dict[str, Any]) -> None:
    """Wait for the answer; raise ServiceError with the end of the log when it does not come."""
    end = time.monotonic() + service["ready_timeout_s"]
    while not answers(service):
        if time.monotonic() > end:
            where = service["ready_socket"] or f"port {service['ready_port']}"
            raise ServiceError(
                f"{service['name']} does not answer on {where} after {service['ready_timeout_s']} s. "
                f"Its last words:\n{manager.last_words(service)}"
            )
        time.sleep(0.1)


def converge(manager: Manager, service: dict[str, Any], check_mode: bool) -> Outcome:
    """Make one program as described; check mode finds the same differences and does nothing."""
    if service["state"] == "absent":
        return remove(manager, service, check_mode)
    outcome = Outcome(before=manager.unit_text(service))
    if service["adopt"] and not outcome.before and not manager.pid(service) and answers_somewhere(service):
        return Outcome()
    service = {**service, "environment": {**service["environment"], MARK: mark_of(service)}}
    outcome.after = manager.render(service)
    name = service["name"]
    if outcome.before != outcome.after:
        outcome.actions.append(f"{name}: unit written")
        if not check_mode:
            manager.write(service, outcome.after)
    if service["kind"] == "oneshot":
        if manager.enable(service, check_mode):
            outcome.actions.append(f"{name}: enabled")
        return outcome
    if not check_mode:
        manager.prepare(bool(outcome.actions))
    if manager.enable(service, check_mode):
        outcome.actions.append(f"{name}: enabled")
    pid = manager.pid(service)
    if not pid:
        outcome.actions.append(f"{name}: started")
        if not check_mode:
            manager.start(service)
    elif settled_mark(pid) != service["environment"][MARK]:
        outcome.actions.append(f"{name}: restarted")
        if not check_mode:
            manager.restart(service)
    if not check_mode:
        wait_until_ready(manager, service)
        # A program that answers once and dies at once is not started.
        if outcome.actions and not (service["ready_socket"] or service["ready_port"]):
            time.sleep(0.5)
        if not manager.pid(service):
            raise ServiceError(f"{name} ended at once. Its last words:\n{manager.last_words(service)}")
    return outcome


def answers_somewhere(service: dict[str, Any]) -> bool:
    return bool(service["ready_socket"] or service["ready_port"]) and answers(service)


def remove(manager: Manager, service: dict[str, Any], check_mode: bool) -> Outcome:
    """Stop the program and take its unit away."""
    outcome = Outcome(before=manager.unit_text(service))
    if outcome.before:
        outcome.actions.append(f"{service['name']}: removed")
        if not check_mode:
            manager.remove(service)
    return outcome
