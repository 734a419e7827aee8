"""The services and how they are loaded without HTTP, for the engine and for commands."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence

SERVICES = ("identity", "placement", "network", "image", "compute", "operations")
"""Rooms in the order of who may import whom: each knows only those before it."""


def load_services(services: Sequence[str] = SERVICES) -> None:
    """Imports every service's tables and actions and subscribes its listeners. Needs no Flask: the engine uses it."""
    for name in services:
        for part in ("models", "actions"):
            if importlib.util.find_spec(f"api.{name}.{part}"):
                importlib.import_module(f"api.{name}.{part}")
        service = importlib.import_module(f"api.{name}.service")
        if hasattr(service, "subscribe"):
            service.subscribe()
