"""Action plugin of the module libvirt_domain: takes its arguments from a request document."""

from __future__ import annotations

from ansible_collections.stratiform.cloud.plugins.action._request_action import RequestActionBase


class ActionModule(RequestActionBase):
    """Runs libvirt_domain on the host."""
