"""The network service's URLs."""

from __future__ import annotations

from flask import Blueprint

from api.http.faults import network_fault
from api.http.wiring import Service
from api.network.routes import others, resources, router_verbs, tagging, topology

blueprint = Blueprint("network", __name__)
for part in (resources, router_verbs, tagging, topology, others):
    part.register(blueprint)

SERVICE = Service(name="network", prefix="network", blueprint=blueprint, render=network_fault)
