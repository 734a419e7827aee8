"""/flavors, their extra specs and access lists."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.compute import flavors, queries, schemas, versions, views
from api.compute.models import Flavor
from api.compute.routes.base import V2, answer, blueprint
from api.http import paging, policy
from api.http.current import context, read_session, write_session
from api.http.faults import BadRequest, NotFound
from api.http.microversions import available, microversion
from api.http.responses import empty
from api.http.validation import json_body
from api.identity import service as identity

_SORT: dict[str, paging.Column] = {
    "flavorid": Flavor.id, "id": Flavor.id, "name": Flavor.name, "memory_mb": Flavor.ram_mb, "vcpus": Flavor.vcpus,
    "root_gb": Flavor.disk_gb, "ephemeral_gb": Flavor.ephemeral_gb, "swap": Flavor.swap_mb,
    "rxtx_factor": Flavor.rxtx_factor, "is_public": Flavor.is_public, "disabled": Flavor.disabled,
    "created_at": Flavor.created_at, "updated_at": Flavor.updated_at, "description": Flavor.description,
}  # fmt: skip


def _brief(flavor: Flavor) -> dict[str, Any]:
    body: dict[str, Any] = {"id": flavor.id, "name": flavor.name, "links": views.links("flavors", flavor.id)}
    if microversion() >= versions.FLAVOR_DESCRIPTION:
        body["description"] = flavor.description
    return body


def _detail(flavor: Flavor, *, specs: bool) -> dict[str, Any]:
    no_swap: int | str = 0 if microversion() >= versions.UNIFIED else ""
    body = _brief(flavor) | {
        "ram": flavor.ram_mb, "vcpus": flavor.vcpus, "disk": flavor.disk_gb, "swap": flavor.swap_mb or no_swap,
        "rxtx_factor": flavor.rxtx_factor, "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "OS-FLV-DISABLED:disabled": flavor.disabled, "os-flavor-access:is_public": flavor.is_public,
    }  # fmt: skip
    return body | {"extra_specs": flavor.extra_specs} if specs else body


def _shows_specs() -> bool:
    return microversion() >= versions.FLAVOR_EXTRA_SPECS and policy.allowed(
        context(), "os_compute_api:os-flavor-extra-specs:index"
    )


def _page(path: str) -> tuple[list[Flavor], list[dict[str, str]]]:
    session = read_session()
    page = paging.parse_page(_SORT, [("flavorid", False)], maximum=queries.MAX_LIMIT)
    query = _visibility()
    for name, column in (("minRam", Flavor.ram_mb), ("minDisk", Flavor.disk_gb)):
        if text := request.args.get(name):
            if (least := paging.whole_number(text)) is None:
                raise BadRequest(f"Invalid {name} filter [{text}]")
            query = query.where(column >= least)
    marker = None
    if page.marker and (marker := session.scalar(select(Flavor).where(Flavor.id == page.marker))) is None:
        raise BadRequest(f"marker [{page.marker}] not found")
    rows, more = paging.fetch(session, query, page, _SORT, Flavor.number, marker_row=marker)
    if not more:
        return rows, []
    link = paging.next_link(f"/compute{V2}/{path}", rows[-1].id, page.limit)
    return rows, [{"rel": "next", "href": link}]


def _visibility() -> Any:
    """Tenants see public flavors and those given to them; admins choose by `is_public` (`none`: all)."""
    text = request.args.get("is_public")
    if not context().is_admin:
        return flavors.visible(context())
    if text is None:
        return flavors.visible(context()).where(Flavor.is_public.is_(True))
    if text.lower() == "none":
        return select(Flavor)
    return select(Flavor).where(Flavor.is_public.is_(queries.boolean("is_public", text)))


@blueprint.get(f"{V2}/flavors")
def list_flavors() -> Response:
    rows, more = _page("flavors")
    body: dict[str, Any] = {"flavors": [_brief(row) for row in rows]}
    return answer(body | {"flavors_links": more} if more else body)


@blueprint.get(f"{V2}/flavors/detail")
def list_flavors_detail() -> Response:
    rows, more = _page("flavors/detail")
    specs = _shows_specs()
    body: dict[str, Any] = {"flavors": [_detail(row, specs=specs) for row in rows]}
    return answer(body | {"flavors_links": more} if more else body)


@blueprint.get(f"{V2}/flavors/<flavor_id>")
def show_flavor(flavor_id: str) -> Response:
    flavor = flavors.get(read_session(), context(), flavor_id)
    return answer({"flavor": _detail(flavor, specs=_shows_specs())})


@blueprint.post(f"{V2}/flavors")
def create_flavor() -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-manage:create")
    body = json_body(schemas.flavor_create(microversion()))["flavor"]
    given = body.get("id")
    values = {
        "id": None if given is None or given == "auto" or given == "" else str(given),
        "name": body["name"], "description": body.get("description"),
        "vcpus": flavors.number("vcpus", body["vcpus"], 1), "ram": flavors.number("ram", body["ram"], 1),
        "disk": flavors.number("disk", body["disk"], 0), "swap": flavors.number("swap", body.get("swap", 0), 0),
        "ephemeral": flavors.number("ephemeral", body.get("OS-FLV-EXT-DATA:ephemeral", 0), 0),
        "rxtx_factor": float(body.get("rxtx_factor", 1.0)),
        "is_public": schemas.truth(body.get("os-flavor-access:is_public", True)),
    }  # fmt: skip
    flavor = flavors.create(write_session(), context(), values)
    return answer({"flavor": _detail(flavor, specs=_shows_specs())})


@blueprint.put(f"{V2}/flavors/<flavor_id>")
@available(since=versions.FLAVOR_DESCRIPTION)
def update_flavor(flavor_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-manage:update")
    body = json_body(schemas.FLAVOR_UPDATE)["flavor"]
    flavor = flavors.get(write_session(), context(), flavor_id)
    flavor.description = body["description"]
    return answer({"flavor": _detail(flavor, specs=_shows_specs())})


@blueprint.delete(f"{V2}/flavors/<flavor_id>")
def delete_flavor(flavor_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-manage:delete")
    session = write_session()
    flavors.destroy(session, flavors.get(session, context(), flavor_id))
    return empty(202)


@blueprint.get(f"{V2}/flavors/<flavor_id>/os-extra_specs")
def list_extra_specs(flavor_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-extra-specs:index")
    return answer({"extra_specs": flavors.get(read_session(), context(), flavor_id).extra_specs})


@blueprint.get(f"{V2}/flavors/<flavor_id>/os-extra_specs/<key>")
def show_extra_spec(flavor_id: str, key: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-extra-specs:show")
    specs = flavors.get(read_session(), context(), flavor_id).extra_specs
    if key not in specs:
        raise NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
    return answer({key: specs[key]})


@blueprint.post(f"{V2}/flavors/<flavor_id>/os-extra_specs")
def create_extra_specs(flavor_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-extra-specs:create")
    specs = json_body(schemas.FLAVOR_EXTRA_SPECS)["extra_specs"]
    flavors.set_extra_specs(flavors.get(write_session(), context(), flavor_id), _as_text(specs))
    return answer({"extra_specs": specs})


@blueprint.put(f"{V2}/flavors/<flavor_id>/os-extra_specs/<key>")
def update_extra_spec(flavor_id: str, key: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-extra-specs:update")
    specs = json_body(schemas.FLAVOR_EXTRA_SPEC)
    if key not in specs:
        raise BadRequest("Request body and URI mismatch")
    flavors.set_extra_specs(flavors.get(write_session(), context(), flavor_id), _as_text(specs))
    return answer(specs)


def _as_text(specs: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in specs.items()}


@blueprint.delete(f"{V2}/flavors/<flavor_id>/os-extra_specs/<key>")
def delete_extra_spec(flavor_id: str, key: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-extra-specs:delete")
    flavors.delete_extra_spec(flavors.get(write_session(), context(), flavor_id), key)
    return empty(200)


@blueprint.get(f"{V2}/flavors/<flavor_id>/os-flavor-access")
def list_access(flavor_id: str) -> Response:
    policy.authorize(context(), "os_compute_api:os-flavor-access")
    session = read_session()
    return _access(session, flavors.get(session, context(), flavor_id))


def _access(session: Session, flavor: Flavor) -> Response:
    projects = flavors.access_list(session, flavor)
    return answer({"flavor_access": [{"flavor_id": flavor.id, "tenant_id": project} for project in projects]})


@blueprint.post(f"{V2}/flavors/<flavor_id>/action")
def change_access(flavor_id: str) -> Response:
    adds = "addTenantAccess" in json_body()
    rule = "add_tenant_access" if adds else "remove_tenant_access"
    policy.authorize(context(), f"os_compute_api:os-flavor-access:{rule}")
    body = json_body(schemas.ADD_ACCESS if adds else schemas.REMOVE_ACCESS)
    project_id = next(iter(body.values()))["tenant"]
    session = write_session()
    flavor = flavors.get(session, context(), flavor_id)
    if adds:
        if identity.get_project(session, project_id) is None:
            raise BadRequest(f"Project ID {project_id} is not a valid project.")
        flavors.add_access(session, flavor, project_id)
    else:
        flavors.remove_access(session, flavor, project_id)
    return _access(session, flavor)
