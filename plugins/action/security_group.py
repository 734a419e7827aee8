"""Action plugin of the module security_group: takes its arguments from a request document."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.action._request_action import RequestActionBase


class ActionModule(RequestActionBase):
    """Runs security_group on the host."""
