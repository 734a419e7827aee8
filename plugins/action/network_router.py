"""Action plugin of the module network_router: takes its arguments from a request document."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.action._request_action import RequestActionBase


class ActionModule(RequestActionBase):
    """Runs network_router on the host."""
