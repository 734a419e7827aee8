"""Identity's HTTP face: each module adds its handlers to the one blueprint."""

from __future__ import annotations

from api.http.faults import identity_fault
from api.http.wiring import Service
from api.identity.routes import (
    application_credentials,
    auth,
    catalog,
    credentials,
    endpoint_filter,
    projects,
    roles,
    trusts,
    users,
)
from api.identity.routes.blueprint import blueprint

__all__ = [
    "SERVICE", "application_credentials", "auth", "catalog", "credentials", "endpoint_filter", "projects", "roles",
    "trusts", "users",
]  # fmt: skip

SERVICE = Service(name="identity", prefix="identity", blueprint=blueprint, render=identity_fault)
