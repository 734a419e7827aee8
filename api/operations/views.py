"""How operations look: whole for operators; for tenants without hosts, engines and what belongs to others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from api.config import settings
from api.engine.models import Job
from api.http.responses import iso_micro

BASE = "/operations/v1/operations"
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_DEVICE = re.compile(r"\b(tap|qr-|qg-|ns-|brq|vnet)([0-9a-f][0-9a-f-]{9,10})\b")
_HOST_RESOURCES = frozenset({"filter", "host"})
"""Types of resources whose id is a host's name."""


@dataclass(frozen=True)
class Veil:
    """What a tenant may not read in an operation's texts."""

    hosts: frozenset[str] = frozenset()
    own: frozenset[str] = field(default=frozenset())
    """Ids that are the operation's own."""

    def text(self, text: str | None) -> str | None:
        """The text without names of hosts, and without ids and devices that are not the operation's own."""
        if not text:
            return text
        for host in sorted(self.hosts, key=len, reverse=True):
            text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", "(a host)", text)
        text = _UUID.sub(lambda found: found[0] if found[0] in self.own else "(another resource)", text)
        return _DEVICE.sub(
            lambda found: found[0] if any(id_.startswith(found[2]) for id_ in self.own) else "(another device)", text
        )

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event of the run without hosts and others' resources."""
        shown = {key: value for key, value in event.items() if key not in ("host", "hosts")}
        if "message" in shown:
            shown["message"] = self.text(shown["message"])
        if "failed_resources" in shown:
            shown["failed_resources"] = [id_ for id_ in shown["failed_resources"] if id_ in self.own]
        return shown


def veil_of(job: Job, hosts: Iterable[str]) -> Veil:
    """The veil over an operation; `hosts` are the names of all hosts of the cloud."""
    own = {row.resource_id for row in job.resources if row.resource_type not in _HOST_RESOURCES}
    named = {row.resource_id for row in job.resources if row.resource_type in _HOST_RESOURCES}
    return Veil(frozenset(hosts) | named | frozenset(job.hosts), frozenset(own | {job.id}))


def _time(value: Any) -> str | None:
    return None if value is None else f"{iso_micro(value)}Z"


def operation(job: Job, veil: Veil | None, *, steps: bool = True) -> dict[str, Any]:
    """One operation, for an operator when there is no veil."""
    body: dict[str, Any] = {
        "id": job.id, "action": job.action, "state": job.state, "request_id": job.request_id,
        "global_request_id": job.global_request_id, "project_id": job.project_id, "user_id": job.user_id,
        "resources": [
            {"type": row.resource_type, "id": row.resource_id} for row in job.resources
            if veil is None or row.resource_type not in _HOST_RESOURCES
        ],
        "attempts": job.attempts, "cancel_requested": job.cancel_requested, "retry_of": job.retry_of,
        "created_at": _time(job.created_at), "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at), "deadline_at": _time(job.deadline_at),
        "error": _error(job.error, veil),
        "links": [{"rel": "self", "href": f"{settings().url()}{BASE}/{job.id}"},
                  {"rel": "events", "href": f"{settings().url()}{BASE}/{job.id}/events"}],
    }  # fmt: skip
    if steps:
        body["steps"] = [_step(step, veil) for step in job.steps]
    if veil is None:
        body |= {"hosts": job.hosts, "engine": job.owner, "events_on": job.events_on,
                 "generation": job.number, "heartbeat_at": _time(job.heartbeat_at)}  # fmt: skip
    return body


def _error(error: dict[str, Any] | None, veil: Veil | None) -> dict[str, Any] | None:
    if error is None or veil is None:
        return error
    return {"kind": error["kind"], "message": veil.text(error["message"]), "step": error["step"]}


def _step(step: dict[str, Any], veil: Veil | None) -> dict[str, Any]:
    return step if veil is None else veil.event(step)
