"""The operations API: version documents, operations, event streams, metrics."""

from api.http.faults import operations_fault
from api.http.wiring import Service
from api.operations.routes import events, metrics, operations, projects
from api.operations.routes.base import blueprint

__all__ = ["SERVICE", "events", "metrics", "operations", "projects"]
SERVICE = Service("operations", "operations", blueprint, operations_fault)
