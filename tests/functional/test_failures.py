"""Bad luck: images that cannot boot, quotas under fire, killed processes. Nothing stays stuck, nothing is left over."""

from __future__ import annotations

import concurrent.futures
import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keystoneauth1.exceptions
import libvirt
import openstack
import pytest

from tests.functional.guests import Site, delete_server, unique, wait_for
from tests.functional.processes import VICTIMS, kill


def truncated_qcow2(folder: Path) -> Path:
    """A qcow2 image that lost its second half on the way."""
    whole, cut = folder / "whole.qcow2", folder / "cut.qcow2"
    options = ["-f", "qcow2", "-o", "preallocation=full"]
    subprocess.run(["qemu-img", "create", "-q", *options, str(whole), "4M"], check=True)
    cut.write_bytes(whole.read_bytes()[: 2 << 20])
    return cut


def empty(folder: Path) -> Path:
    path = folder / "empty.raw"
    path.write_bytes(b"")
    return path


def ramdisk(folder: Path) -> Path:
    path = folder / "ramdisk.ari"
    path.write_bytes(b"not a disk" * 1000)
    return path


@pytest.mark.parametrize(("disk_format", "container_format", "make"), [
    ("qcow2", "bare", truncated_qcow2), ("raw", "bare", empty), ("ari", "ari", ramdisk),
])  # fmt: skip
def test_an_image_that_cannot_boot(
    site: Site, tmp_path: Path, disk_format: str, container_format: str, make: Callable[[Path], Path]
) -> None:
    """It is refused, or the server ends in ERROR with the reason; either way the server can be deleted."""
    cloud = site.cloud
    image = cloud.image.create_image(name=unique("bad"), disk_format=disk_format, container_format=container_format)
    try:
        try:
            cloud.image.put(f"/images/{image.id}/file", data=make(tmp_path).read_bytes(),
                            headers={"Content-Type": "application/octet-stream"}).raise_for_status()  # fmt: skip
            server = cloud.compute.create_server(name=unique("bad"), image_id=image.id, flavor_id=site.flavor_id,
                                                 networks=[{"uuid": site.networks["blue"].id}])  # fmt: skip
        except Exception as refusal:  # noqa: BLE001 (any client error will do, as long as it says why)
            assert str(refusal)
            return
        look = cloud.compute.get_server
        failed = wait_for("ERROR", lambda: (s := look(server.id)).status == "ERROR" and s, 60)
        assert failed.fault["message"]
        delete_server(cloud, server.id)
    finally:
        cloud.image.delete_image(image.id)


@pytest.fixture
def small_quota(admin: openstack.connection.Connection, cloud: openstack.connection.Connection) -> Iterator[int]:
    """The demo project may have exactly ten more networks."""
    project = cloud.current_project_id
    have = len(list(admin.network.networks(project_id=project)))
    admin.network.update_quota(project, networks=have + 10)
    yield 10
    admin.network.delete_quota(project)


def test_fifty_at_once_against_a_quota_of_ten(cloud: openstack.connection.Connection, small_quota: int) -> None:
    name = unique("quota")

    def create(_: int) -> int:
        answer = cloud.network.post("/networks", json={"network": {"name": name}})
        return int(answer.status_code)

    try:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(create, range(50)))
        assert codes.count(201) == small_quota
        assert codes.count(409) == 50 - small_quota
    finally:
        for network in cloud.network.networks(name=name):
            cloud.network.delete_network(network)


def eventually(call: Callable[[], object], timeout_s: float = 30) -> object:
    """Calls until the API answers: it may be restarting."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return call()
        except (openstack.exceptions.SDKException, keystoneauth1.exceptions.ClientException):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


@pytest.mark.parametrize("delay_s", [0.05, 0.4])
@pytest.mark.parametrize("victim", sorted(VICTIMS))
def test_killed_in_the_middle_of_boot_and_delete(site: Site, victim: str, delay_s: float) -> None:
    """After SIGKILL and restart the server is ACTIVE, ERROR with a reason, or gone; the host has nothing of it left."""
    cloud = site.cloud
    guest = site.boot("blue", floating=False, wait=False)
    time.sleep(delay_s)
    hit = kill(victim)
    show = cloud.compute.get_server
    settled = wait_for("the boot ends", lambda: eventually(lambda: (s := show(guest.id)).status != "BUILD" and s), 90)
    assert settled.status in ("ACTIVE", "ERROR")
    assert settled.status == "ACTIVE" or settled.fault["message"]
    eventually(lambda: cloud.compute.delete_server(guest.id))
    time.sleep(delay_s)
    hit += kill(victim)
    assert hit, f"no {victim} was there to kill"
    wait_for("the server is gone", lambda: eventually(lambda: cloud.compute.find_server(guest.id) is None), 90)
    with contextlib.closing(libvirt.open("qemu:///system")) as host:
        assert guest.id not in {domain.UUIDString() for domain in host.listAllDomains()}
    assert not Path(f"/var/lib/stratiform/host/instances/{guest.id}").exists()
