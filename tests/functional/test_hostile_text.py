"""Tenant text that looks like templates, shell and paths is stored and returned as sent, and never executed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openstack
import pytest

from tests.functional.guests import Site, delete_server, unique, wait_for

PROOF = Path("/tmp/stratiform-hostile-text-ran")
HOSTILE = [
    "{{ lookup('pipe','touch " + str(PROOF) + "') }}",
    "{% for x in [1] %}{{ x }}{% endfor %}",
    "'; touch " + str(PROOF) + "; '\" $(touch " + str(PROOF) + ") `touch " + str(PROOF) + "`",
    "../../../../tmp/stratiform-hostile-text-ran",
    "Größe 🦄 名前 \u202e",
    "x" * 255,
    "<domain>&amp;</domain>]]>",
]


@pytest.fixture(autouse=True)
def nothing_was_executed() -> Any:
    yield
    assert not PROOF.exists()


MAKERS: dict[str, Callable[[openstack.connection.Connection, str], Any]] = {
    "network": lambda c, t: c.network.create_network(name=t, description=t),
    "router": lambda c, t: c.network.create_router(name=t, description=t),
    "security_group": lambda c, t: c.network.create_security_group(name=t, description=t),
    "image": lambda c, t: c.image.create_image(name=t, disk_format="raw", container_format="bare", hostile=t),
}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_records(cloud: openstack.connection.Connection, kind: str, text: str) -> None:
    made = MAKERS[kind](cloud, text)
    proxy = cloud.image if kind == "image" else cloud.network
    try:
        shown = getattr(proxy, f"get_{kind}")(made.id)
        assert shown.name == text
        assert kind == "image" or shown.description == text
    finally:
        getattr(proxy, f"delete_{kind}")(made.id)


@pytest.mark.parametrize("text", HOSTILE)
def test_identity(admin: openstack.connection.Connection, text: str) -> None:
    project = admin.identity.create_project(name=text[:64], description=text)
    try:
        shown = admin.identity.get_project(project.id)
        assert (shown.name, shown.description) == (text[:64], text)
    finally:
        admin.identity.delete_project(project.id)


def test_a_server_with_hostile_text_in_every_field(site: Site) -> None:
    """One boot carries all of them: name, description, metadata, user data, the security group's name."""
    text = HOSTILE[0]
    group = site.cloud.network.create_security_group(name=text, description=text)
    user_data = base64.b64encode("\n".join(HOSTILE).encode()).decode()
    server = site.cloud.compute.create_server(
        name=text, description=HOSTILE[1], image_id=site.image_id, flavor_id=site.flavor_id, config_drive=True,
        networks=[{"uuid": site.networks["blue"].id}], user_data=user_data, security_groups=[{"name": group.id}],
        metadata={f"k{index}": value for index, value in enumerate(HOSTILE)},
    )  # fmt: skip
    try:
        look = site.cloud.compute.get_server
        shown = wait_for("settled", lambda: (s := look(server.id)).status != "BUILD" and s, 60)
        assert shown.status == "ACTIVE", shown.fault
        assert (shown.name, shown.description) == (text, HOSTILE[1])
        assert shown.metadata == {f"k{index}": value for index, value in enumerate(HOSTILE)}
        renamed = site.cloud.compute.update_server(server.id, name=unique("tame"))
        assert renamed.name.startswith("ft-tame")
    finally:
        delete_server(site.cloud, server.id)
        site.cloud.network.delete_security_group(group)
