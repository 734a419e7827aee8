"""What is in the cloud, to compare before and after; what Tempest left behind goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.interop.cloud import Cloud

OURS = "tempest"
"""What a test makes has a name that begins so (`resource_name_prefix` of Tempest), or lies in a project that has."""
GONE_WITHIN_S = 120.0


@dataclass(frozen=True)
class Kind:
    """A collection: where it is listed, and how an item of it is removed."""

    name: str
    service: str
    path: str
    key: str
    microversion: str | None = None
    item_path: str | None = None
    """Where one of them is, if not below `path`."""

    def one(self, item_id: str) -> str:
        return f"{self.item_path or self.path.partition('?')[0]}/{item_id}"


KINDS = (
    # In the order in which they can be removed.
    Kind("server", "compute", "servers?all_tenants=1", "servers", item_path="servers"),
    Kind("server group", "compute", "os-server-groups?all_projects=1", "server_groups"),
    Kind("aggregate", "compute", "os-aggregates", "aggregates"),
    Kind("flavor", "compute", "flavors?is_public=None", "flavors"),
    Kind("image", "image", "v2/images", "images"),
    Kind("hidden image", "image", "v2/images?os_hidden=true", "images"),
    Kind("metadata namespace", "image", "v2/metadefs/namespaces", "namespaces"),
    Kind("floating IP", "network", "v2.0/floatingips", "floatingips"),
    Kind("port", "network", "v2.0/ports", "ports"),
    Kind("router", "network", "v2.0/routers", "routers"),
    Kind("network", "network", "v2.0/networks", "networks"),
    Kind("subnet", "network", "v2.0/subnets", "subnets"),
    Kind("subnet pool", "network", "v2.0/subnetpools", "subnetpools"),
    Kind("address scope", "network", "v2.0/address-scopes", "address_scopes"),
    Kind("security group", "network", "v2.0/security-groups", "security_groups"),
    Kind("access rule", "network", "v2.0/rbac-policies", "rbac_policies"),
    Kind("volume snapshot", "block-storage", "snapshots?all_tenants=1", "snapshots"),
    Kind("volume backup", "block-storage", "backups?all_tenants=1", "backups"),
    Kind("volume", "block-storage", "volumes?all_tenants=1", "volumes"),
    Kind("volume type", "block-storage", "types?is_public=None", "volume_types"),
    Kind("trust", "identity", "v3/OS-TRUST/trusts", "trusts"),
    Kind("credential", "identity", "v3/credentials", "credentials"),
    Kind("user", "identity", "v3/users", "users"),
    Kind("group", "identity", "v3/groups", "groups"),
    Kind("project", "identity", "v3/projects", "projects"),
    Kind("role", "identity", "v3/roles", "roles"),
    Kind("domain", "identity", "v3/domains", "domains"),
    Kind("endpoint", "identity", "v3/endpoints", "endpoints"),
    Kind("service", "identity", "v3/services", "services"),
    Kind("region", "identity", "v3/regions", "regions"),
    Kind("policy", "identity", "v3/policies", "policies"),
)


@dataclass(frozen=True)
class Item:
    kind: Kind
    id: str
    name: str
    project_id: str | None

    def __str__(self) -> str:
        return f"{self.kind.name} {self.name or '(no name)'} ({self.id})"


def everything(cloud: Cloud) -> dict[tuple[str, str], Item]:
    """All that the administrator sees, by kind and id."""
    found = {}
    for kind in KINDS:
        if kind.service not in cloud.services:
            continue
        for raw in cloud.list(kind.service, kind.path, kind.key, microversion=kind.microversion):
            item_id = str(raw.get("id") or raw["namespace"])
            name = str(raw.get("name") or raw.get("namespace") or raw.get("description") or "")
            found[kind.name, item_id] = Item(kind, item_id, name, raw.get("project_id") or raw.get("owner"))
    return found


def new(cloud: Cloud, before: dict[tuple[str, str], Item]) -> list[Item]:
    """What is there now and was not before, in the order in which it can be removed."""
    return [item for key, item in everything(cloud).items() if key not in before]


def settled(cloud: Cloud, before: dict[tuple[str, str], Item], deadline_s: float = GONE_WITHIN_S) -> list[Item]:
    """What remains when everything that is being deleted has had its time."""
    end = time.monotonic() + deadline_s
    while (remains := new(cloud, before)) and time.monotonic() < end:
        time.sleep(2)
    return remains


def of_tests(items: list[Item]) -> Iterator[Item]:
    """Those that a test made."""
    projects = {item.id for item in items if item.kind.name == "project" and item.name.startswith(OURS)}
    for item in items:
        if item.name.startswith(OURS) or item.project_id in projects:
            yield item


def remove(cloud: Cloud, items: list[Item], tell: Callable[[str], None]) -> None:
    """Removes what tests made; a refusal is told. Routers lose their interfaces first."""
    for item in items:
        if item.kind.name == "router":
            _empty_router(cloud, item.id)
        if item.kind.name == "server":
            cloud.request("compute", "POST", f"servers/{item.id}/action", json={"os-resetState": {"state": "error"}})
        if item.kind.name in ("image", "hidden image"):
            _unprotect(cloud, item.id)
        if item.kind.name == "domain":
            cloud.request("identity", "PATCH", f"v3/domains/{item.id}", json={"domain": {"enabled": False}})
        answer = cloud.request(item.kind.service, "DELETE", item.kind.one(item.id))
        if answer.status_code >= 400 and answer.status_code not in (404, 409):  # 409: it goes with what holds it
            tell(f"could not remove {item}: {answer.status_code} {answer.text[:200]}")


def _empty_router(cloud: Cloud, router: str) -> None:
    for port in list(cloud.list("network", f"v2.0/ports?device_id={router}", "ports")):
        path = f"v2.0/routers/{router}/remove_router_interface"
        cloud.request("network", "PUT", path, json={"port_id": port["id"]})


def _unprotect(cloud: Cloud, image: str) -> None:
    change = [{"op": "replace", "path": "/protected", "value": False}]
    content = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    cloud.request("image", "PATCH", f"v2/images/{image}", json=change, headers=content)
