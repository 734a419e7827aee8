"""Action plugin of the module guest_diagnostics: takes its arguments from a request document."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.action._request_action import RequestActionBase


class ActionModule(RequestActionBase):
    """Runs guest_diagnostics on the host."""
