"""The catalog's parts as operators keep them: regions, services, endpoints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.http.faults import BadRequest, Conflict, Forbidden
from api.identity import rows
from api.identity.links import link
from api.identity.models import CatalogService, Endpoint, Region

_REGION = ("description", "parent_region_id")
_SERVICE = ("type", "name", "description", "enabled")
_ENDPOINT = ("service_id", "interface", "url", "enabled", "region_id")


def region_view(region: Region) -> dict[str, Any]:
    """A region as the API shows it."""
    return {
        **region.extra, "id": region.id, "description": region.description,
        "parent_region_id": region.parent_region_id, "links": {"self": link("regions", region.id)},
    }  # fmt: skip


def service_view(service: CatalogService) -> dict[str, Any]:
    """A service as the API shows it."""
    shown = {
        **service.extra, "id": service.id, "type": service.type, "enabled": service.enabled,
        "name": service.name or "", "links": {"self": link("services", service.id)},
    }  # fmt: skip
    return shown if service.description is None else {**shown, "description": service.description}


def endpoint_view(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as the API shows it."""
    return {
        **endpoint.extra, "id": endpoint.id, "service_id": endpoint.service_id, "interface": endpoint.interface,
        "region_id": endpoint.region_id, "region": endpoint.region_id, "url": endpoint.url,
        "enabled": endpoint.enabled, "links": {"self": link("endpoints", endpoint.id)},
    }  # fmt: skip


def create_region(session: Session, given: dict[str, Any]) -> Region:
    """A new region, with the id that the body gives; 409 when it is taken."""
    if given.get("id") and session.get(Region, given["id"]) is not None:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate ID, {given['id']}.")
    region = Region(id=given["id"]) if given.get("id") else Region()
    return _store_region(session, region, given)


def change_region(session: Session, region_id: str, given: dict[str, Any]) -> Region:
    """The region, changed as the body says."""
    return _store_region(session, rows.get(session, Region, region_id, "region"), given)


def _store_region(session: Session, region: Region, given: dict[str, Any]) -> Region:
    parent_id = given.get("parent_region_id")
    seen = {region.id} if region.id else set()
    while parent_id:
        if parent_id in seen:
            raise BadRequest("A region cannot be below itself.")
        seen.add(parent_id)
        parent_id = rows.get(session, Region, parent_id, "region").parent_region_id
    rows.assign(region, given, _REGION)
    region.description = region.description or ""
    session.add(region)
    rows.flush(session, "region", region.id)
    return region


def remove_region(session: Session, region_id: str) -> None:
    """Deletes a region; 403 while regions or endpoints are in it."""
    region = rows.get(session, Region, region_id, "region")
    child = session.scalar(select(Region.id).where(Region.parent_region_id == region_id).limit(1))
    endpoint = session.scalar(select(Endpoint.id).where(Endpoint.region_id == region_id).limit(1))
    if child or endpoint:
        raise Forbidden(f"Unable to delete region {region_id} because it or its child regions have endpoints.")
    session.delete(region)


def create_service(session: Session, given: dict[str, Any]) -> CatalogService:
    """A new service."""
    service = CatalogService(enabled=True)
    rows.assign(service, given, _SERVICE)
    session.add(service)
    session.flush()
    return service


def change_service(session: Session, service_id: str, given: dict[str, Any]) -> CatalogService:
    """The service, changed as the body says."""
    service = rows.get(session, CatalogService, service_id, "service")
    rows.assign(service, given, _SERVICE)
    session.flush()
    return service


def remove_service(session: Session, service_id: str) -> None:
    """Deletes a service with its endpoints."""
    session.delete(rows.get(session, CatalogService, service_id, "service"))


def create_endpoint(session: Session, given: dict[str, Any]) -> Endpoint:
    """A new endpoint; 400 when service or region are not there."""
    return _store_endpoint(session, Endpoint(enabled=True), given)


def change_endpoint(session: Session, endpoint_id: str, given: dict[str, Any]) -> Endpoint:
    """The endpoint, changed as the body says."""
    return _store_endpoint(session, rows.get(session, Endpoint, endpoint_id, "endpoint"), given)


def _store_endpoint(session: Session, endpoint: Endpoint, given: dict[str, Any]) -> Endpoint:
    wanted = {name: value for name, value in given.items() if name != "region"}
    if "region" in given and "region_id" not in given:
        wanted["region_id"] = given["region"]
        if given["region"] and session.get(Region, given["region"]) is None:
            create_region(session, {"id": given["region"]})  # the old attribute makes the region, as OpenStack does
    if "service_id" in wanted and session.get(CatalogService, wanted["service_id"]) is None:
        raise BadRequest(f"Could not find service: {wanted['service_id']}.")
    if wanted.get("region_id") and session.get(Region, wanted["region_id"]) is None:
        raise BadRequest(f"Could not find region: {wanted['region_id']}.")
    rows.assign(endpoint, wanted, _ENDPOINT)
    session.add(endpoint)
    session.flush()
    return endpoint


def remove_endpoint(session: Session, endpoint_id: str) -> None:
    """Deletes an endpoint."""
    session.delete(rows.get(session, Endpoint, endpoint_id, "endpoint"))
