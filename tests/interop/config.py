"""tempest.conf, written from what `features` found."""

from __future__ import annotations

import configparser
import io
from pathlib import Path
from typing import Any

from tests.interop import features
from tests.interop.cloud import Cloud
from tests.interop.fixtures import Fixtures

PROGRAMMES = {  # Tempest's names for the services, and the catalog's
    "nova": "compute", "glance": "image", "neutron": "network", "cinder": "block-storage", "swift": "object-store",
    "horizon": "dashboard",
}  # fmt: skip
TIMEOUT_S = 600
"""How long a server, an image or a login may take: guests without hardware virtualisation are slow."""

Sections = dict[str, dict[str, Any]]


def discover(cloud: Cloud, fixtures: Fixtures, folder: Path) -> Sections:
    """Every section of tempest.conf."""
    hosts = sum(
        1
        for host in cloud.list("compute", "os-hypervisors", "hypervisors")
        if host["state"] == "up" and host["status"] == "enabled"
    )
    sections: Sections = {name: dict(options) for name, options in features.OF_THE_DRIVER.items()}
    sections["DEFAULT"] = {"log_dir": folder, "log_file": "tempest.log", "use_stderr": False}
    sections["oslo_concurrency"] = {"lock_path": folder / "locks"}
    sections |= _access(cloud)
    sections["service_available"] = {name: service in cloud.services for name, service in PROGRAMMES.items()}
    sections["identity-feature-enabled"] |= features.identity(cloud)
    _compute(cloud, fixtures, hosts, sections)
    formats, found = features.image(cloud)
    sections["image"] = {"build_timeout": TIMEOUT_S, **formats}
    sections["image-feature-enabled"] |= found
    sections["network-feature-enabled"] = features.network(cloud)
    _public_network(cloud, fixtures, sections)
    if "placement" in cloud.services:
        sections["placement"] = _range(cloud, "placement")
    return sections


def _access(cloud: Cloud) -> Sections:
    """Who the administrator is, and where identity answers."""
    config = cloud.connection.config
    auth = config.get_auth_args()
    verify, _ = config.get_requests_verify_args()
    roles = {role["name"] for role in cloud.list("identity", "v3/roles", "roles")}
    scoped = {"admin", "member", "reader"} <= roles
    return {
        "auth": {
            "use_dynamic_credentials": True,
            "create_isolated_networks": True,
            "admin_username": auth["username"],
            "admin_password": auth["password"],
            "admin_project_name": auth["project_name"],
            "admin_user_domain_name": auth.get("user_domain_name", "Default"),
            "admin_project_domain_name": auth.get("project_domain_name", "Default"),
            "admin_domain_name": auth.get("user_domain_name", "Default"),
        },
        "identity": {
            "uri_v3": auth["auth_url"].rstrip("/").removesuffix("/v3") + "/v3",
            "auth_version": "v3",
            "region": cloud.region,
            "disable_ssl_certificate_validation": verify is False,
            **({"ca_certificates_file": verify} if isinstance(verify, str) else {}),
        },
        "service-clients": {"http_timeout": 120},
        "enforce_scope": dict.fromkeys(("nova", "neutron", "glance", "keystone", "placement"), scoped),
        "compute-feature-enabled": {
            "nova_policy_roles": ",".join(role for role in ("admin", "manager", "member", "reader") if role in roles)
        },
    }


def _compute(cloud: Cloud, fixtures: Fixtures, hosts: int, sections: Sections) -> None:
    sections["compute"] = {
        "image_ref": fixtures.images[0]["id"],
        "image_ref_alt": fixtures.images[1]["id"],
        "flavor_ref": fixtures.flavors[0]["id"],
        "flavor_ref_alt": fixtures.flavors[1]["id"],
        "build_timeout": TIMEOUT_S,
        "min_compute_nodes": max(hosts, 1),
        **_range(cloud, "compute"),
    }
    sections["compute-feature-enabled"] = (
        features.OF_THE_DRIVER["compute-feature-enabled"]
        | sections["compute-feature-enabled"]
        | features.compute(cloud, hosts)
        | {"scheduler_enabled_filters": ",".join(features.scheduler_filters(cloud))}
    )


def _public_network(cloud: Cloud, fixtures: Fixtures, sections: Sections) -> None:
    """The external network, and whether guests can be logged in to through it."""
    outer = features.public_network(cloud)
    sections["network"] = {"build_timeout": TIMEOUT_S}
    if outer is not None:
        sections["network"] |= {"public_network_id": outer["id"], "floating_network_name": outer["name"]}
    user = fixtures.images[0].get("os_admin_user", "root")
    sections["validation"] = {
        "run_validation": outer is not None and features.reachable(cloud, outer),
        "connect_method": "floating",
        "network_for_ssh": outer["name"] if outer else "",
        "auth_method": "keypair",
        "image_ssh_user": user,
        "image_alt_ssh_user": user,
        "ping_timeout": TIMEOUT_S,
        "ssh_timeout": TIMEOUT_S,
    }


def _range(cloud: Cloud, service: str) -> dict[str, str]:
    low, high = features.microversions(cloud, service)
    return {"min_microversion": low, "max_microversion": high}


def write(path: Path, sections: Sections) -> None:
    """Writes the sections as Tempest reads them, for the owner's eyes only: the administrator's password is in them."""
    parser = configparser.ConfigParser(interpolation=None)
    for name, options in sections.items():
        parser[name] = {option: str(value).replace("$", "$$") for option, value in options.items()}
    text = io.StringIO()
    parser.write(text)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text.getvalue())
