"""Host aggregates: records, availability zones, and flavors that ask for them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Boot, at, show

URL = "/compute/v2.1/os-aggregates"


def make(ready: Any, name: str = "fast", zone: str | None = None, hosts: tuple[str, ...] = ()) -> int:
    body = {"name": name} | ({"availability_zone": zone} if zone else {})
    answer = ready.admin.post(URL, json={"aggregate": body})
    assert answer.status_code == 200, answer.json
    id_: int = answer.json["aggregate"]["id"]
    for host in hosts:
        assert act(ready, id_, "add_host", host=host).status_code == 200
    return id_


def act(ready: Any, id_: int, verb: str, **body: Any) -> Any:
    return ready.admin.post(f"{URL}/{id_}/action", json={verb: body})


def test_life_of_an_aggregate(ready: Any) -> None:
    made = ready.admin.post(URL, json={"aggregate": {"name": "fast", "availability_zone": "east"}}).json["aggregate"]
    assert set(made) == {"id", "name", "availability_zone", "created_at", "updated_at", "deleted", "deleted_at"}
    url = f"{URL}/{made['id']}"
    shown = ready.admin.get(url).json["aggregate"]
    assert set(shown) == set(made) | {"hosts", "metadata"} and shown["metadata"] == {"availability_zone": "east"}
    assert set(at(ready.admin, "2.41").get(url).json["aggregate"]) == set(shown) | {"uuid"}
    changed = ready.admin.put(url, json={"aggregate": {"name": "faster"}}).json["aggregate"]
    assert (changed["name"], changed["availability_zone"]) == ("faster", "east")
    assert act(ready, made["id"], "add_host", host="c1").json["aggregate"]["hosts"] == ["c1"]
    metadata = {"ssd": "true", "old": "x"}
    assert act(ready, made["id"], "set_metadata", metadata=metadata).json["aggregate"]["metadata"] == metadata | {
        "availability_zone": "east"}  # fmt: skip
    assert "old" not in act(ready, made["id"], "set_metadata", metadata={"old": None}).json["aggregate"]["metadata"]
    assert ready.admin.delete(url).status_code == 400
    assert act(ready, made["id"], "remove_host", host="c1").json["aggregate"]["hosts"] == []
    assert ready.admin.delete(url).status_code == 200
    assert ready.admin.get(URL).json["aggregates"] == []


def test_faults(ready: Any) -> None:
    id_ = make(ready, hosts=("c1",))
    assert ready.admin.post(URL, json={"aggregate": {"name": "fast"}}).status_code == 409
    for name in ("", "x" * 256):
        assert ready.admin.post(URL, json={"aggregate": {"name": name}}).status_code == 400
    assert ready.admin.post(URL, json={"aggregate": {"name": "n", "availability_zone": "a:b"}}).status_code == 400
    assert ready.admin.put(f"{URL}/{id_}", json={"aggregate": {}}).status_code == 400
    for wrong, status in (("-1", 404), ("999", 404), ("9" * 30, 404), ("fast", 404)):
        assert ready.admin.get(f"{URL}/{wrong}").status_code == status
    assert act(ready, id_, "add_host", host="c1").status_code == 409
    assert act(ready, id_, "add_host", host="nowhere").status_code == 404
    assert act(ready, id_, "remove_host", host="c2").status_code == 404
    assert act(ready, id_, "other").status_code == 400
    assert act(ready, id_, "set_metadata", metadata={"availability_zone": "a:b"}).status_code == 400


@pytest.mark.parametrize(("verb", "path"), [("get", ""), ("post", ""), ("get", "/1"), ("put", "/1"), ("delete", "/1")])
def test_aggregates_are_for_admins(ready: Any, verb: str, path: str) -> None:
    answer = getattr(ready.member, verb)(URL + path, **({} if verb in ("get", "delete") else {"json": {}}))
    assert answer.status_code == 403
    assert ready.member.post(f"{URL}/1/action", json={"add_host": {"host": "c1"}}).status_code == 403


def test_an_aggregate_makes_a_zone(ready: Any, boot: Boot) -> None:
    make(ready, zone="east", hosts=("c2",))
    zones = ready.member.get("/compute/v2.1/os-availability-zone").json["availabilityZoneInfo"]
    assert {zone["zoneName"] for zone in zones} == {"east", "nova"}
    services = ready.admin.get("/compute/v2.1/os-services?binary=nova-compute").json["services"]
    assert {(service["host"], service["zone"]) for service in services} == {("c1", "nova"), ("c2", "east")}
    server = show(ready.admin, boot(availability_zone="east").json["server"]["id"])
    assert (server["OS-EXT-SRV-ATTR:host"], server["OS-EXT-AZ:availability_zone"]) == ("c2", "east")


def test_a_host_is_in_one_zone_and_keeps_who_asked_for_it(ready: Any, boot: Boot) -> None:
    east, west = make(ready, zone="east", hosts=("c2",)), make(ready, "slow", "west")
    assert act(ready, west, "add_host", host="c2").status_code == 409
    assert ready.admin.put(f"{URL}/{east}", json={"aggregate": {"availability_zone": "mars"}}).status_code == 200
    boot(availability_zone="mars")
    assert ready.admin.put(f"{URL}/{east}", json={"aggregate": {"availability_zone": "east"}}).status_code == 400
    assert act(ready, east, "set_metadata", metadata={"availability_zone": "east"}).status_code == 400
    assert act(ready, east, "remove_host", host="c2").status_code == 409


def test_servers_that_asked_for_no_zone_follow_their_host(ready: Any, boot: Boot) -> None:
    ids = boot(min_count=2, return_reservation_id=True).json and [
        row["id"] for row in ready.member.get("/compute/v2.1/servers").json["servers"]]  # fmt: skip
    make(ready, zone="east", hosts=("c1", "c2"))
    assert {show(ready.member, id_)["OS-EXT-AZ:availability_zone"] for id_ in ids} == {"east"}


def test_a_flavor_asks_for_an_aggregates_metadata(ready: Any, boot: Boot, flavor: str) -> None:
    specs = {"extra_specs": {"aggregate_instance_extra_specs:ssd": "true"}}
    assert ready.admin.post(f"/compute/v2.1/flavors/{flavor}/os-extra_specs", json=specs).status_code == 200
    refused = show(ready.admin, boot().json["server"]["id"])
    assert refused["status"] == "ERROR" and "ssd=true" in refused["fault"]["details"]
    id_ = make(ready, hosts=("c2",))
    act(ready, id_, "set_metadata", metadata={"ssd": "true,yes"})
    assert show(ready.admin, boot().json["server"]["id"])["OS-EXT-SRV-ATTR:host"] == "c2"
