"""Compute's API. Importing the modules hangs their handlers into the one blueprint."""

from api.compute.routes import (  # noqa: F401
    admin_actions,
    aggregates,
    extensions,
    flavors,
    hosts,
    keypairs,
    metadata,
    power_actions,
    query_actions,
    quotas,
    records,
    server_groups,
    servers,
    shape_actions,
    versions,
)
from api.compute.routes.base import SERVICE

__all__ = ["SERVICE"]
