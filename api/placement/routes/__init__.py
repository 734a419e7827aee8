"""Placement's URLs."""

from api.placement.routes import allocations, candidates, inventories, names, providers
from api.placement.routes.base import SERVICE

__all__ = ["SERVICE", "allocations", "candidates", "inventories", "names", "providers"]
