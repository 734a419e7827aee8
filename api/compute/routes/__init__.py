"""Compute's API. Importing the modules hangs their handlers into the one blueprint."""

from api.compute.routes import (  # noqa: F401
    admin_actions,
    aggregates,
    extensions,
    flavors,
    hosts,
    interfaces,
    keypairs,
    metadata,
    migrations,
    power_actions,
    query_actions,
    quotas,
    records,
    server_groups,
    server_queries,
    servers,
    shape_actions,
    versions,
)
from api.compute.routes.base import SERVICE

__all__ = ["SERVICE"]
