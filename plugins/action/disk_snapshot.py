"""Action plugin of the module disk_snapshot: takes its arguments from a request document."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.action._request_action import RequestActionBase


class ActionModule(RequestActionBase):
    """Runs disk_snapshot on the host."""
