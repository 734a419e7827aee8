"""Connections to the running cloud, and a site (networks, router, key, security group) that a module's tests share."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import openstack
import pytest

from tests.functional.guests import Site, unique


@pytest.fixture(scope="session")
def cloud() -> openstack.connection.Connection:
    """The member of the demo project."""
    return openstack.connect(cloud="stratiform")


@pytest.fixture(scope="session")
def admin() -> openstack.connection.Connection:
    """The operator."""
    return openstack.connect(cloud="stratiform-admin")


@pytest.fixture(scope="module")
def site(cloud: openstack.connection.Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two networks behind one router, and all that a guest needs; removed again."""
    with contextlib.ExitStack() as undo:
        key = tmp_path_factory.mktemp("key") / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        pair = cloud.compute.create_keypair(name=unique("key"), public_key=Path(f"{key}.pub").read_text())
        undo.callback(cloud.compute.delete_keypair, pair)
        net = cloud.network
        external = next(iter(net.networks(is_router_external=True)))
        group = net.create_security_group(name=unique("group"))
        undo.callback(net.delete_security_group, group)
        for protocol, port in (("icmp", None), ("tcp", 22)):
            net.create_security_group_rule(security_group_id=group.id, direction="ingress", ethertype="IPv4",
                                           protocol=protocol, port_range_min=port, port_range_max=port)  # fmt: skip
        router = net.create_router(name=unique("router"), external_gateway_info={"network_id": external.id})
        undo.callback(net.delete_router, router)
        networks = {}
        for index, name in enumerate(("blue", "green")):
            network = net.create_network(name=unique(name))
            undo.callback(net.delete_network, network)
            subnet = net.create_subnet(network_id=network.id, ip_version=4, cidr=f"10.91.{index}.0/24")
            net.add_interface_to_router(router, subnet=subnet.id)
            undo.callback(net.remove_interface_from_router, router, subnet=subnet.id)
            networks[name] = net.get_network(network.id)
        yield Site(cloud, cloud.image.find_image("tiny", ignore_missing=False).id,
                   cloud.compute.find_flavor("m1.nano", ignore_missing=False).id, pair.name, key,
                   group.id, router.id, external.id, networks)  # fmt: skip
