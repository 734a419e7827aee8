"""What the cloud can do, found by asking it. Nothing is guessed: what cannot be asked stands in `OF_THE_DRIVER`."""

from __future__ import annotations

import ipaddress
import subprocess
import uuid
from typing import Any

from tests.interop.cloud import Cloud

ACTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    # feature of Tempest: (microversion, a server action that needs it)
    "pause": ("2.1", {"pause": None}),
    "suspend": ("2.1", {"suspend": None}),
    "shelve": ("2.1", {"shelve": None}),
    "resize": ("2.1", {"resize": {"flavorRef": "1"}}),
    "rescue": ("2.1", {"rescue": {"adminPass": "aPassw0rd"}}),
    "stable_rescue": ("2.87", {"rescue": {"rescue_image_ref": "70a599e0-31e7-49b7-b260-868f441e862b"}}),
    "snapshot": ("2.1", {"createImage": {"name": "probe"}}),
    "console_output": ("2.1", {"os-getConsoleOutput": {"length": 1}}),
    "vnc_console": ("2.1", {"os-getVNCConsole": {"type": "novnc"}}),
    "serial_console": ("2.1", {"os-getSerialConsole": {"type": "serial"}}),
    "cold_migration": ("2.1", {"migrate": None}),
    "live_migration": (
        "2.25", {"os-migrateLive": {"host": None, "block_migration": "auto"}},
    ),
}  # fmt: skip
NEED_TWO_HOSTS = ("cold_migration", "live_migration")

OF_THE_DRIVER: dict[str, dict[str, Any]] = {
    # True of every Stratiform cloud, and told by no API of OpenStack's.
    "compute-feature-enabled": {
        "disk_config": True,
        "config_drive": True,
        "metadata_service": True,
        "enable_instance_password": True,
        "ide_bus": True,
        "hostname_fqdn_sanitization": True,
        "dhcp_domain": "",  # a host name with dots is told to the guest as it is
        "personality": False,  # files are not injected: they were taken out of the API at 2.57
        "change_password": False,  # the test's image has no guest agent
        "spice_console": False,
        "swap_volume": False,
        "unified_limits": False,
        "volume_multiattach": False,
    },
    "identity-feature-enabled": {
        "domain_specific_drivers": False,
        "security_compliance": False,  # accounts are locked, but old passwords are not remembered
        "immutable_user_source": False,
    },
    "image-feature-enabled": {
        "os_glance_reserved": True,
        "image_conversion": False,
        "do_secure_hash": True,
        "store_weight_enabled": False,
    },
}

IDENTITY_EXTENSIONS = {"OS-INHERIT": "v3/OS-INHERIT/domains/{id}/groups/{id}/roles/inherited_to_projects",
                       "OS-EC2": "v3/users/{id}/credentials/OS-EC2"}  # fmt: skip
"""Extensions that Tempest asks for, and a path of each."""


def compute(cloud: Cloud, hosts: int) -> dict[str, bool]:
    """The server actions that are answered. A server that does not exist is 404, an action that does not exist 400."""
    found = {}
    for feature, (microversion, body) in ACTIONS.items():
        path = f"servers/{uuid.uuid4()}/action"
        answer = cloud.request("compute", "POST", path, json=body, microversion=microversion)
        found[feature] = answer.status_code == 404 and (hosts > 1 or feature not in NEED_TWO_HOSTS)
    server = str(uuid.uuid4())
    found["interface_attach"] = (
        f"Instance {server}" in cloud.request("compute", "GET", f"servers/{server}/os-interface").text
    )
    found["shelve_migrate"] = found["shelve"] and hosts > 1
    found["block_migration_for_live_migration"] = found["live_migration"]
    found["can_migrate_between_any_hosts"] = found["live_migration"]
    return found


def scheduler_filters(cloud: Cloud) -> list[str]:
    """The scheduler's filters by Nova's names."""
    groups = cloud.request("compute", "GET", "os-server-groups").status_code == 200
    known = ["ComputeFilter", "ComputeCapabilitiesFilter", "ImagePropertiesFilter"]
    return known + ["ServerGroupAntiAffinityFilter", "ServerGroupAffinityFilter"] * groups


def identity(cloud: Cloud) -> dict[str, Any]:
    """Trusts, access rules, and the extensions that Tempest asks for."""
    user = cloud.session.get_user_id()
    some = uuid.uuid4().hex
    extensions = []
    for name, path in IDENTITY_EXTENSIONS.items():
        body = cloud.request("identity", "GET", path.replace("{id}", some)).text
        if some in body:  # the answer speaks of what is not there; a path that is unknown does not
            extensions.append(name)
    return {
        "trust": cloud.request("identity", "GET", "v3/OS-TRUST/trusts").status_code == 200,
        "access_rules": cloud.request("identity", "GET", f"v3/users/{user}/access_rules").status_code == 200,
        "api_extensions": ",".join(extensions),
    }


def image(cloud: Cloud) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tempest's sections `image` and `image-feature-enabled`."""
    schema = cloud.get("image", "v2/schemas/image")["properties"]
    methods = cloud.request("image", "GET", "v2/info/import")
    stores = cloud.request("image", "GET", "v2/info/stores")
    found = stores.json().get("stores", []) if stores.status_code == 200 else []
    formats = {
        f"{kind}_formats": ",".join(_preferred(schema[f"{kind}_format"].get("enum", [])))
        for kind in ("disk", "container")
    }
    return formats, {
        "import_image": methods.status_code == 200 and bool(methods.json()["import-methods"]["value"]),
        "http_store_enabled": any(store["id"] == "http" or store.get("type") == "http" for store in found),
        "image_format_enforcement": _refuses_content(cloud),
        "manage_locations": False,  # locations are refused in every Stratiform cloud
    }


def _preferred(formats: list[str | None]) -> list[str]:
    """The formats with those in front that go with any other: the tests take pairs from the beginning."""
    return sorted((name for name in formats if name is not None), key=lambda name: name not in ("bare", "raw"))


def _refuses_content(cloud: Cloud) -> bool:
    """Whether bytes that are no image of the declared format are refused: tried on an image that goes again."""
    described = {"name": "tempest-probe", "disk_format": "qcow2", "container_format": "bare"}
    made = cloud.request("image", "POST", "v2/images", json=described)
    made.raise_for_status()
    path = f"v2/images/{made.json()['id']}"
    try:
        headers = {"Content-Type": "application/octet-stream"}
        return (
            cloud.request("image", "PUT", f"{path}/file", data=b"not qcow2 " * 200, headers=headers).status_code >= 400
        )
    finally:
        cloud.request("image", "DELETE", path).raise_for_status()


def network(cloud: Cloud) -> dict[str, Any]:
    """Tempest's section `network-feature-enabled`."""
    extensions = sorted(item["alias"] for item in cloud.list("network", "v2.0/extensions", "extensions"))
    return {
        "api_extensions": ",".join(extensions),
        "available_features": "",
        "port_security": "port-security" in extensions,
        "floating_ips": "router" in extensions,
        "ipv6": True,
        "ipv6_subnet_attributes": _has_ipv6_modes(cloud),
    }


def _has_ipv6_modes(cloud: Cloud) -> bool:
    """Whether a subnet may ask for router advertisements: tried on a network that goes again."""
    made = cloud.request("network", "POST", "v2.0/networks", json={"network": {"name": "tempest-probe"}})
    made.raise_for_status()
    net = made.json()["network"]["id"]
    try:
        subnet = {"network_id": net, "ip_version": 6, "cidr": "2001:db8:1::/64", "ipv6_ra_mode": "slaac",
                  "ipv6_address_mode": "slaac"}  # fmt: skip
        return cloud.request("network", "POST", "v2.0/subnets", json={"subnet": subnet}).status_code == 201
    finally:
        cloud.request("network", "DELETE", f"v2.0/networks/{net}").raise_for_status()


def public_network(cloud: Cloud) -> dict[str, Any] | None:
    """The external network on which floating IPs are made."""
    return next(cloud.list("network", "v2.0/networks?router:external=true", "networks"), None)


def reachable(cloud: Cloud, net: dict[str, Any]) -> bool:
    """Whether this machine reaches floating IPs: the external subnet's gateway answers."""
    for subnet in cloud.list("network", f"v2.0/subnets?network_id={net['id']}", "subnets"):
        gateway = subnet["gateway_ip"]
        if gateway and ipaddress.ip_address(gateway).version == 4:
            told = subprocess.run(["ping", "-c", "1", "-W", "3", gateway], capture_output=True, check=False)
            return told.returncode == 0
    return False


def microversions(cloud: Cloud, service: str) -> tuple[str, str]:
    """The range that the service's version document tells."""
    body = cloud.get(service, "")
    document = body["version"] if "version" in body else body["versions"][0]
    return document.get("min_version") or document["version"], document.get("max_version") or document["version"]
