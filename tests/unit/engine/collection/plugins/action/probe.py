"""Action plugin of the tests' module probe: hands it its section of the request document, as the real ones do."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.action._request_action import RequestActionBase


class ActionModule(RequestActionBase):
    """Runs probe on the host."""
