"""The catalog as tokens carry it: services, their endpoints, and the caller's ids put into the URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.identity import endpoint_filter
from api.identity.models import CatalogService, Endpoint

_PLACEHOLDER = re.compile(r"[$%]\((\w+)\)s")


@dataclass(frozen=True)
class Catalog:
    """The services, URLs as templates; for projects that see some endpoints only, the ids of those."""

    services: list[dict[str, Any]] = field(default_factory=list)
    visible: dict[str, set[str]] = field(default_factory=dict)


def load(session: Session) -> Catalog:
    """The enabled services with their enabled endpoints."""
    rows = session.execute(
        select(CatalogService.id, CatalogService.type, CatalogService.name, Endpoint.id, Endpoint.interface,
               Endpoint.region_id, Endpoint.url)
        .join(Endpoint, Endpoint.service_id == CatalogService.id)
        .where(CatalogService.enabled.is_(True), Endpoint.enabled.is_(True))
        .order_by(CatalogService.type, CatalogService.id, Endpoint.interface, Endpoint.id)
    )  # fmt: skip
    services: dict[str, dict[str, Any]] = {}
    for service_id, type_, name, endpoint_id, interface, region, url in rows:
        service = services.setdefault(
            service_id, {"endpoints": [], "id": service_id, "type": type_, "name": name or ""}
        )
        service["endpoints"].append(
            {"id": endpoint_id, "interface": interface, "region_id": region, "url": url, "region": region}
        )
    return Catalog(list(services.values()), endpoint_filter.visible(session))


def render(catalog: Catalog, user_id: str, project_id: str | None) -> list[dict[str, Any]]:
    """The catalog for one caller. An endpoint whose URL wants a project is left out of a token without one."""
    known = {"user_id": user_id}
    if project_id:
        known |= {"project_id": project_id, "tenant_id": project_id}
    seen = catalog.visible.get(project_id) if project_id else None
    rendered = []
    for service in catalog.services:
        endpoints = [
            {**endpoint, "url": url}
            for endpoint in service["endpoints"]
            if (seen is None or endpoint["id"] in seen) and (url := fill(endpoint["url"], known))
        ]
        rendered.append({**service, "endpoints": endpoints})
    return rendered


def fill(url: str, known: dict[str, str]) -> str | None:
    """The URL with `$(project_id)s` and the like replaced; None when it wants something that is not known."""
    if "(" not in url:
        return url
    if any(name not in known for name in _PLACEHOLDER.findall(url)):
        return None
    return _PLACEHOLDER.sub(lambda found: known[found[1]], url)
