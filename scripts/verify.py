"""Prove the cloud with real input: from an image to a login through a floating IP. What is there is used again."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openstack
import openstack.exceptions

HERE = Path(__file__).resolve().parent
NAME = "hello"
RANGE = "10.20.30.0/24"
SSH_TIMEOUT_S = 180
BOOT_TIMEOUT_S = 180


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what is done and how long it took."""
    start = time.monotonic()
    yield
    print(f"  {name:<72.72} {time.monotonic() - start:6.1f} s", flush=True)


def image(cloud: Any, admin: Any) -> Any:
    """The tiny image, uploaded for everybody when its bytes are not there yet."""
    path = Path(
        subprocess.run(
            [sys.executable, str(HERE / "build_image.py")], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    wanted = hashlib.sha512(path.read_bytes()).hexdigest()
    for found in list(cloud.image.images(name="tiny")):
        if found.status == "active" and found.hash_algo == "sha512" and found.hash_value == wanted:
            return found
        admin.image.delete_image(found)  # an older one, or an upload that was cut off
    return admin.create_image(
        "tiny", filename=str(path), disk_format="qcow2", container_format="bare", visibility="public", min_ram=112,
        wait=True,
        timeout=120, validate_checksum=True,
    )  # fmt: skip


def network(cloud: Any) -> Any:
    found = cloud.network.find_network(NAME) or cloud.network.create_network(name=NAME)
    if not found.subnet_ids:
        cloud.network.create_subnet(name=NAME, network_id=found.id, ip_version=4, cidr=RANGE)
        found = cloud.network.get_network(found.id)
    return found


def router(cloud: Any, inner: Any) -> Any:
    """A router from our network to the external one."""
    found = cloud.network.find_router(NAME)
    if found is None:
        outer = next(iter(cloud.network.networks(is_router_external=True)))
        found = cloud.network.create_router(name=NAME, external_gateway_info={"network_id": outer.id})
    if not any(cloud.network.ports(device_id=found.id, network_id=inner.id)):
        cloud.network.add_interface_to_router(found, subnet_id=inner.subnet_ids[0])
    return found


def security_group(cloud: Any) -> Any:
    found = cloud.network.find_security_group(NAME) or cloud.network.create_security_group(
        name=NAME, description="SSH and ping"
    )
    present = {
        (rule.protocol, rule.direction) for rule in cloud.network.security_group_rules(security_group_id=found.id)
    }
    for protocol, port in (("tcp", 22), ("icmp", None)):
        if (protocol, "ingress") not in present:
            cloud.network.create_security_group_rule(
                security_group_id=found.id,
                direction="ingress",
                ether_type="IPv4",
                protocol=protocol,
                port_range_min=port,
                port_range_max=port,
            )
    return found


def key_file() -> Path:
    """The private key of the key pair, made on this machine and never sent anywhere."""
    clouds = os.environ.get("OS_CLIENT_CONFIG_FILE") or Path.home() / ".config/openstack/clouds.yaml"
    path = Path(clouds).parent / "stratiform-hello.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", NAME, "-f", str(path)], check=True)
    return path


def key_pair(cloud: Any, path: Path) -> None:
    public = path.with_suffix(".key.pub").read_text().strip()
    found = cloud.compute.find_keypair(NAME)
    if found is not None and found.public_key.split()[:2] == public.split()[:2]:
        return
    if found is not None:
        cloud.compute.delete_keypair(found)
    cloud.compute.create_keypair(name=NAME, public_key=public)


def server(cloud: Any, source: Any, inner: Any, group: Any) -> Any:
    """Our server, ACTIVE. One that failed earlier is made anew."""
    found = cloud.compute.find_server(NAME)
    if found is not None and cloud.compute.get_server(found).status == "ERROR":
        cloud.compute.delete_server(found)
        cloud.compute.wait_for_delete(found, wait=60)
        found = None
    if found is None:
        flavor = cloud.compute.find_flavor("m1.nano", ignore_missing=False)
        found = cloud.compute.create_server(
            name=NAME,
            image_id=source.id,
            flavor_id=flavor.id,
            networks=[{"uuid": inner.id}],
            key_name=NAME,
            security_groups=[{"name": group.id}],
        )
    found = cloud.compute.get_server(found)
    if found.status == "SHUTOFF":
        cloud.compute.start_server(found)
    return cloud.compute.wait_for_server(found, wait=BOOT_TIMEOUT_S)


def floating_ip(cloud: Any, guest: Any) -> str:
    port = next(iter(cloud.network.ports(device_id=guest.id)))
    found = next(iter(cloud.network.ips(port_id=port.id)), None)
    if found is None:
        outer = next(iter(cloud.network.networks(is_router_external=True)))
        found = cloud.network.create_ip(floating_network_id=outer.id, port_id=port.id)
    return str(found.floating_ip_address)


def ssh(address: str, key: Path, command: str) -> str:
    """Run a command in the guest, waiting until it lets us in."""
    options = [
        "-i", str(key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=4",
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "-F", "/dev/null",
    ]  # fmt: skip
    end = time.monotonic() + SSH_TIMEOUT_S
    while True:
        result = subprocess.run(
            ["ssh", *options, f"tiny@{address}", command], capture_output=True, text=True, check=False, timeout=60
        )
        if result.returncode == 0:
            return result.stdout
        if result.returncode != 255 or time.monotonic() > end:
            sys.exit(f"error: no login at {address}: {result.stderr.strip() or result.stdout.strip()}")
        time.sleep(0.3)


def verify(cloud: Any, admin: Any) -> str:
    """All of it, one step after another; the floating IP."""
    with step("Image: build a small cloud image, upload it"):
        source = image(cloud, admin)
    with step(f"Network {RANGE}, and a router to the outside"):
        inner = network(cloud)
        router(cloud, inner)
    with step("Security group that lets SSH and ping in, key pair"):
        group = security_group(cloud)
        key = key_file()
        key_pair(cloud, key)
    with step("Server: POST to ACTIVE"):
        guest = server(cloud, source, inner, group)
    with step("Floating IP"):
        address = floating_ip(cloud, guest)
    with step(f"Login over SSH at {address}"):
        told = ssh(address, key, "hostname")
    with step("The guest reads its own metadata"):
        document = json.loads(ssh(address, key, "wget -q -O - http://169.254.169.254/openstack/latest/meta_data.json"))
    if document["uuid"] != guest.id:
        sys.exit(f"error: the guest was told that it is {document['uuid']}, but it is {guest.id}")
    if told.strip().split(".")[0] != NAME:
        sys.exit(f"error: the guest calls itself {told.strip()}, not {NAME}")
    print(f"\n  ssh -i {key} tiny@{address}")
    return address


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cloud", default="stratiform")
    parser.add_argument("--admin-cloud", default="stratiform-admin")
    options = parser.parse_args()
    os.umask(0o077)
    try:
        with openstack.connect(cloud=options.cloud) as cloud, openstack.connect(cloud=options.admin_cloud) as admin:
            verify(cloud, admin)
    except openstack.exceptions.SDKException as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
