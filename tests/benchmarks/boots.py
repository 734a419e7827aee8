"""How long a server takes: POST answered, ACTIVE, SSH, DELETE answered, gone. `python -m tests.benchmarks.boots`

Runs against the cloud `stratiform` of clouds.yaml; every resource is its own and removed again. Seconds, median of N.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import openstack

from tests.functional.guests import Guest, unique

POLL_S = 0.02


def until(check: Callable[[], bool], timeout_s: float = 120) -> None:
    """Polls until `check` is true; TimeoutError after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(POLL_S)


def one(
    cloud: openstack.connection.Connection, body: dict[str, object], external_id: str, key: Path
) -> dict[str, float]:
    """One server's life in seconds, each figure from its own request."""
    figures: dict[str, float] = {}
    compute, net = cloud.compute, cloud.network
    with contextlib.ExitStack() as undo:
        floating = net.create_ip(floating_network_id=external_id)
        undo.callback(net.delete_ip, floating)
        begin = time.perf_counter()
        answer = compute.post("/servers", json={"server": body}, microversion="2.37")
        assert answer.status_code == 202, answer.text
        figures["create answered"] = time.perf_counter() - begin
        id_ = answer.json()["server"]["id"]
        port = next(iter(net.ports(device_id=id_)))
        net.update_ip(floating, port_id=port.id)
        until(lambda: compute.get(f"/servers/{id_}").json()["server"]["status"] != "BUILD")
        figures["active"] = time.perf_counter() - begin
        shown = compute.get(f"/servers/{id_}").json()["server"]
        assert shown["status"] == "ACTIVE", shown
        guest = Guest(cloud, compute.get_server(id_), port.fixed_ips[0]["ip_address"], floating, key)
        until(lambda: guest.ssh("true", 5).returncode == 0)
        figures["ssh"] = time.perf_counter() - begin
        begin = time.perf_counter()
        assert compute.delete(f"/servers/{id_}").status_code == 204
        figures["delete answered"] = time.perf_counter() - begin
        until(lambda: compute.get(f"/servers/{id_}").status_code == 404)
        figures["gone"] = time.perf_counter() - begin
    return figures


def main() -> None:
    """Boots and deletes servers one after the other and prints each figure's minimum, median and maximum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    cloud = openstack.connect(cloud="stratiform")
    net = cloud.network
    with contextlib.ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "id")], check=True)
        pair = cloud.compute.create_keypair(name=unique("key"), public_key=(folder / "id.pub").read_text())
        undo.callback(cloud.compute.delete_keypair, pair)
        group = net.create_security_group(name=unique("bench"))
        undo.callback(net.delete_security_group, group)
        net.create_security_group_rule(security_group_id=group.id, direction="ingress", ethertype="IPv4",
                                       protocol="tcp", port_range_min=22, port_range_max=22)  # fmt: skip
        external = next(iter(net.networks(is_router_external=True)))
        router = net.create_router(name=unique("bench"), external_gateway_info={"network_id": external.id})
        undo.callback(net.delete_router, router)
        network = net.create_network(name=unique("bench"))
        undo.callback(net.delete_network, network)
        subnet = net.create_subnet(network_id=network.id, ip_version=4, cidr="10.92.0.0/24")
        net.add_interface_to_router(router, subnet=subnet.id)
        undo.callback(net.remove_interface_from_router, router, subnet=subnet.id)
        body: dict[str, object] = {
            "name": unique("bench"), "imageRef": cloud.image.find_image("tiny", ignore_missing=False).id,
            "flavorRef": cloud.compute.find_flavor("m1.nano", ignore_missing=False).id, "key_name": pair.name,
            "networks": [{"uuid": network.id}], "security_groups": [{"name": group.id}],
        }  # fmt: skip
        lives = [one(cloud, body, external.id, folder / "id") for _ in range(options.runs)]
    for name in lives[0]:
        values = sorted(life[name] for life in lives)
        row = {"figure": name, "min_s": values[0], "median_s": statistics.median(values), "max_s": values[-1]}
        print(json.dumps({key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}))


if __name__ == "__main__":
    main()
