"""How a service tells the services above it what happens, without knowing them.

A listener runs in the announcer's transaction; a Fault it raises refuses the whole request. Listeners are subscribed
in `app.py` alone (by each service's `subscribe()`), so that who hears whom can be read in one place.

Announced (name: keyword arguments):
    project.before_delete: project_id            server.deleted, port.before_delete, ...: see each service's docs
    project.hangs_on, project.purge: api/http/hanging.py
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

Listener = Callable[..., None]
_listeners: dict[str, list[Listener]] = defaultdict(list)


def subscribe(name: str, listener: Listener) -> None:
    """Calls `listener(session, **details)` whenever `name` is announced. Subscribing twice has no effect."""
    if listener not in _listeners[name]:
        _listeners[name].append(listener)


def announce(session: Session, name: str, **details: Any) -> None:
    """Calls every listener of `name`, in the order of subscription."""
    for listener in _listeners[name]:
        listener(session, **details)
