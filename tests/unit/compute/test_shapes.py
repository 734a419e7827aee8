"""Each answer in the shape of its microversion, 2.1 as much as 2.96."""

from __future__ import annotations

from typing import Any

import pytest

from api.compute import server_schemas

from .conftest import Boot, Engine, at, show

URL = "/compute/v2.1/servers"
BASE = {
    "id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor", "created", "updated",
    "addresses", "accessIPv4", "accessIPv6", "links", "OS-DCF:diskConfig", "progress", "OS-EXT-AZ:availability_zone",
    "config_drive", "key_name", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "OS-EXT-STS:task_state",
    "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state", "os-extended-volumes:volumes_attached",
}  # fmt: skip
ADDED = [
    ("2.8", set()), ("2.9", {"locked"}), ("2.19", {"description"}), ("2.26", {"tags"}),
    ("2.63", {"trusted_image_certificates"}), ("2.71", {"server_groups"}), ("2.73", {"locked_reason"}),
    ("2.90", {"OS-EXT-SRV-ATTR:hostname"}), ("2.96", {"pinned_availability_zone"}),
]  # fmt: skip


@pytest.fixture
def active(boot: Boot, engine: Engine) -> str:
    id_: str = boot().json["server"]["id"]
    engine.run()
    return id_


def test_a_tenants_server_grows_attribute_by_attribute(ready: Any, active: str) -> None:
    expected = set(BASE)
    for version, added in ADDED:
        expected |= added
        assert set(show(ready.member, active, version)) == expected, version
    listed = at(ready.member, "2.96").get(f"{URL}/detail").json["servers"][0]
    assert set(listed) == expected - {"server_groups"}


def test_admins_see_where_a_server_is(ready: Any, active: str) -> None:
    first = show(ready.admin, active, "2.1")
    prefix = "OS-EXT-SRV-ATTR:"
    assert {key for key in first if key.startswith(prefix)} == {
        f"{prefix}host", f"{prefix}hypervisor_hostname", f"{prefix}instance_name"}  # fmt: skip
    later = show(ready.admin, active, "2.16")
    assert {f"{prefix}{name}" for name in ("reservation_id", "launch_index", "hostname", "kernel_id", "ramdisk_id",
                                           "root_device_name", "user_data")} <= set(later)  # fmt: skip
    assert later["host_status"] == "UP" and "host_status" not in show(ready.admin, active, "2.15")
    assert "host_status" not in show(ready.member, active, "2.96")


def test_the_flavor_is_a_link_until_2_46_and_embedded_from_2_47(ready: Any, active: str) -> None:
    assert set(show(ready.member, active, "2.46")["flavor"]) == {"id", "links"}
    assert show(ready.member, active, "2.47")["flavor"] == {
        "vcpus": 1, "ram": 128, "disk": 1, "ephemeral": 0, "swap": 0, "original_name": "tiny", "extra_specs": {},
    }  # fmt: skip


def test_update_answers_little_before_2_75_and_everything_after(ready: Any, active: str) -> None:
    before = at(ready.member, "2.74").put(f"{URL}/{active}", json={"server": {"name": "new"}}).json["server"]
    assert before["name"] == "new" and "OS-EXT-STS:vm_state" not in before and "key_name" not in before
    assert set(before) >= {"locked", "description", "tags", "server_groups"}
    after = at(ready.member, "2.75").put(f"{URL}/{active}", json={"server": {"name": "newer"}}).json["server"]
    assert set(after) == set(show(ready.member, active, "2.75"))


def test_networks_are_required_from_2_37(ready: Any, boot: Boot, network: str) -> None:
    boot(version="2.36", networks=...)
    boot(version="2.37", networks=..., status=400)
    boot(version="2.36", networks="auto", status=400)
    boot(version="2.37", networks="auto")


def test_several_networks_are_ambiguous(ready: Any, boot: Boot, network: str) -> None:
    second = ready.member.post("/network/v2.0/networks", json={"network": {"name": "two"}}).json["network"]["id"]
    subnet = {"network_id": second, "cidr": "10.1.0.0/24", "ip_version": 4}
    ready.member.post("/network/v2.0/subnets", json={"subnet": subnet})
    answer = boot(version="2.1", networks=..., status=409)
    assert "Multiple possible networks found" in answer.json["conflictingRequest"]["message"]
    boot(networks="auto", status=409)
    boot(networks=[{"uuid": second, "fixed_ip": "10.1.0.77"}, {"uuid": network}])


@pytest.mark.parametrize(
    ("version", "fields", "status"),
    [
        ("2.18", {"description": "text"}, 400), ("2.19", {"description": "text"}, 202),
        ("2.51", {"tags": ["a"]}, 400), ("2.52", {"tags": ["a"]}, 202), ("2.52", {"tags": ["a/b"]}, 400),
        ("2.89", {"hostname": "h"}, 400), ("2.90", {"hostname": "h"}, 202), ("2.93", {"hostname": "h.x"}, 400),
        ("2.94", {"hostname": "h.x"}, 202), ("2.96", {"user_data": "no base64!"}, 400),
        ("2.96", {"user_data": "YQ=="}, 202), ("2.96", {"user_data": "A" * 65536}, 400),
        ("2.96", {"unknown": 1}, 400), ("2.96", {"name": ""}, 400), ("2.96", {"name": " x"}, 400),
        ("2.96", {"name": "a\nb"}, 400), ("2.96", {"name": "x" * 256}, 400), ("2.96", {"min_count": 0}, 400),
        ("2.96", {"min_count": 3, "max_count": 2}, 400), ("2.96", {"key_name": "none"}, 400),
        ("2.96", {"flavorRef": "none"}, 400), ("2.96", {"imageRef": "name"}, 400),
        ("2.96", {"imageRef": "00000000-0000-0000-0000-000000000000"}, 400), ("2.96", {"imageRef": ""}, 400),
        ("2.96", {"availability_zone": "mars"}, 400), ("2.96", {"availability_zone": "nova:c1"}, 403),
        ("2.96", {"metadata": {"k": 1}}, 400), ("2.96", {"metadata": {"k": "v"}}, 202),
        ("2.1", {"networks": [], "personality": [{"path": "/x", "contents": "YQ=="}]}, 400),
        ("2.96", {"networks": [{"uuid": "00000000-0000-0000-0000-000000000000"}]}, 400),
        ("2.96", {"networks": [{"port": "00000000-0000-0000-0000-000000000000"}]}, 400),
        ("2.96", {"block_device_mapping_v2": [{"source_type": "volume", "destination_type": "volume",
                                               "boot_index": 0}]}, 400),
    ],
)  # fmt: skip
def test_create_validates_by_microversion(boot: Boot, version: str, fields: dict[str, Any], status: int) -> None:
    if version < "2.37":
        fields = {"networks": []} | fields
    boot(version=version, status=status, **fields)


HOSTILE = ["{{ lookup('pipe','touch /tmp/x') }}", "{% raw %}", "\"quotes\" and 'more'", "../../etc/passwd",
           "emoji \U0001f469\u200d\U0001f4bb", "x" * 255, "$(reboot); `id` | \\ <xml>&amp;"]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_stored_and_returned_as_sent(ready: Any, boot: Boot, engine: Engine, text: str) -> None:
    id_ = boot(name=text, description=text, metadata={"key": text}, tags=[text[:60].replace("/", "").replace(",", "")],
               config_drive=True).json["server"]["id"]  # fmt: skip
    assert engine.run() == ["compute.server.create"]
    shown = show(ready.member, id_)
    assert (shown["name"], shown["description"], shown["metadata"]) == (text, text, {"key": text})
    found = at(ready.member, "2.96").get(f"{URL}/detail", query_string={"sort_key": "display_name"}).json["servers"]
    assert [row["name"] for row in found] == [text]


def test_versions_are_negotiated_by_both_headers(ready: Any) -> None:
    old = ready.member.get(URL, headers={"X-OpenStack-Nova-API-Version": "2.30"})
    assert old.headers["X-OpenStack-Nova-API-Version"] == "2.30"
    assert old.headers["OpenStack-API-Version"] == "compute 2.30"
    assert at(ready.member, "2.97").get(URL).status_code == 406
    assert at(ready.member, "two").get(URL).status_code == 400
    assert at(ready.member, "latest").get(URL).headers["OpenStack-API-Version"] == "compute 2.96"


def test_proxies_and_absent_resources_are_404(ready: Any) -> None:
    for version in ("2.1", "2.96"):
        for name in ("images", "os-networks", "os-floating-ips", "os-volumes"):
            assert at(ready.member, version).get(f"/compute/v2.1/{name}").status_code == 404
    assert ready.member.get("/compute/v2.1/extensions/os-keypairs").json["extension"]["alias"] == "os-keypairs"


def test_an_ipv6_address_is_shown_in_its_canonical_form() -> None:
    changed = server_schemas.changes({"accessIPv6": "0000:0000:0000:0000:0000:babe:220.12.22.2"})
    assert changed == {"access_ip_v6": "::babe:dc0c:1602"}
    assert server_schemas.changes({"accessIPv6": ""}) == {"access_ip_v6": ""}
