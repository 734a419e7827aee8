"""A server from POST to DELETE, with an engine that carries jobs out on no host."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import select

from api.compute.models import Server
from api.db.hosts import Host
from api.engine.actions import Failure
from api.engine.models import Job
from api.placement import service as placement
from api.placement.models import Allocation

from .conftest import Boot, Engine, at, show

URL = "/compute/v2.1/servers"


def act(client: Any, server_id: str, name: str, value: Any = None, version: str = "2.1") -> Any:
    return at(client, version).post(f"{URL}/{server_id}/action", json={name: value})


def test_create_answers_202_with_location_and_password_and_becomes_active(ready: Any, boot: Boot, network: str,
                                                                          engine: Engine) -> None:  # fmt: skip
    answer = boot(networks=[{"uuid": network}])
    body = answer.json["server"]
    assert set(body) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert answer.headers["Location"] == f"https://cloud.test:8443{URL}/{body['id']}"
    assert len(body["adminPass"]) == 12
    building = show(ready.member, body["id"])
    assert (building["status"], building["OS-EXT-STS:task_state"]) == ("BUILD", "spawning")
    assert building["addresses"] == {}
    assert engine.run() == ["compute.server.create"]
    active = show(ready.member, body["id"])
    assert (active["status"], active["OS-EXT-STS:power_state"], active["progress"]) == ("ACTIVE", 1, 100)
    assert active["OS-SRV-USG:launched_at"]
    (address,) = active["addresses"]["net"]
    assert address["addr"].startswith("10.0.0.") and address["OS-EXT-IPS:type"] == "fixed"
    assert active["security_groups"] == [{"name": "default"}]


def test_the_plan_has_everything_the_host_needs(ready: Any, boot: Boot, network: str, engine: Engine) -> None:
    id_ = boot(networks=[{"uuid": network}], config_drive=True).json["server"]["id"]
    engine.run()
    ((_, plan),) = engine.plans
    (host,) = [name for name in plan.hosts if "libvirt_domain" in plan.hosts[name]]
    sections = plan.hosts[host]
    home = f"/var/lib/stratiform/host/instances/{id_}"
    (domain,) = sections["libvirt_domain"]["domains"]
    assert (domain["vcpus"], domain["memory_mb"], domain["power_state"]) == (1, 128, "running")
    assert [disk["path"] for disk in domain["disks"]] == [f"{home}/disk", f"{home}/config.iso"]
    (interface,) = domain["interfaces"]
    taps = [port["tap"] for port in sections["network_bridge"]["ports"]]
    assert interface["tap"] in taps
    disk = sections["disk_image"]
    assert disk["directories"] == [{"id": id_, "path": home, "state": "present"}]
    assert disk["disks"][0]["size_gb"] == 1
    assert disk["images"][0]["checksum"] == {"algorithm": "sha512", "value": "0" * 128}
    assert "openstack/latest/meta_data.json" in disk["config_drives"][0]["files"]
    assert "security_group" in sections


def test_delete_keeps_the_server_until_its_host_is_clean(ready: Any, boot: Boot, network: str,
                                                         engine: Engine) -> None:  # fmt: skip
    id_ = boot(networks=[{"uuid": network}]).json["server"]["id"]
    engine.run()
    assert ready.member.delete(f"{URL}/{id_}").status_code == 204
    assert show(ready.member, id_)["OS-EXT-STS:task_state"] == "deleting"
    assert ready.member.delete(f"{URL}/{id_}").status_code == 204
    assert engine.run() == ["compute.server.delete"]
    assert ready.member.get(f"{URL}/{id_}").status_code == 404
    gone = at(ready.admin, "2.96").get(f"{URL}/detail?deleted=true&all_tenants=1").json["servers"]
    assert [(row["id"], row["status"]) for row in gone] == [(id_, "DELETED")]
    since = ready.member.get(f"{URL}?changes-since=2020-01-01T00:00:00Z").json["servers"]
    assert [row["id"] for row in since] == [id_]
    with ready.read() as session:
        assert session.scalars(select(Allocation)).all() == []
    plan = engine.plans[-1][1]
    sections = next(part for part in plan.hosts.values() if "libvirt_domain" in part)
    assert sections["libvirt_domain"]["domains"][0]["state"] == "absent"
    assert sections["network_bridge"]["ports"][0]["state"] == "absent"


def test_delete_overtakes_a_create_that_has_not_run(ready: Any, boot: Boot, engine: Engine) -> None:
    id_ = boot().json["server"]["id"]
    assert ready.member.delete(f"{URL}/{id_}").status_code == 204
    assert engine.run() == ["compute.server.create", "compute.server.delete"]
    assert engine.plans[0][1].hosts == {}
    assert ready.member.get(f"{URL}/{id_}").status_code == 404


def test_a_failed_build_is_error_with_step_and_host_and_can_be_deleted(ready: Any, boot: Boot,
                                                                       engine: Engine) -> None:  # fmt: skip
    id_ = boot().json["server"]["id"]
    engine.run(failure=Failure("failed", "The image is damaged: upload it again.", "c1", "Bring the disks"))
    fault = show(ready.member, id_)["fault"]
    assert fault["code"] == 500 and "details" not in fault
    for part in ("Bring the disks", "c1", "upload it again"):
        assert part in fault["message"]
    assert "kind: failed" in show(ready.admin, id_)["fault"]["details"]
    assert ready.member.delete(f"{URL}/{id_}").status_code == 204
    engine.run()
    assert ready.member.get(f"{URL}/{id_}").status_code == 404


def test_a_failed_delete_can_be_repeated(ready: Any, boot: Boot, network: str, engine: Engine) -> None:
    id_ = boot(networks=[{"uuid": network}]).json["server"]["id"]
    engine.run()
    ready.member.delete(f"{URL}/{id_}")
    engine.run(failure=Failure("unreachable", "The host does not answer.", "c1"))
    failed = show(ready.member, id_)
    assert failed["status"] == "ERROR" and "does not answer" in failed["fault"]["message"]
    ready.member.delete(f"{URL}/{id_}")
    engine.run()
    ports = [port for part in engine.plans[-1][1].hosts.values() for port in part["network_bridge"]["ports"]]
    assert [port["state"] for port in ports] == ["absent"]
    assert ready.member.get(f"{URL}/{id_}").status_code == 404


def test_start_stop_and_reboot_follow_the_state_machine(ready: Any, boot: Boot, engine: Engine) -> None:
    id_ = boot().json["server"]["id"]
    early = act(ready.member, id_, "os-stop")
    assert early.status_code == 409
    assert early.json["conflictingRequest"]["message"] == (
        f"Cannot 'stop' instance {id_} while it is in vm_state building"
    )
    engine.run()
    assert act(ready.member, id_, "os-start").status_code == 409
    assert act(ready.member, id_, "os-stop").status_code == 202
    assert act(ready.member, id_, "os-stop").status_code == 409
    engine.run()
    assert show(ready.member, id_)["status"] == "SHUTOFF"
    assert act(ready.member, id_, "reboot", {"type": "SOFT"}).status_code == 409
    assert act(ready.member, id_, "os-start").status_code == 202
    engine.run()
    assert act(ready.member, id_, "reboot", {"type": "HARD"}).status_code == 202
    assert show(ready.member, id_)["status"] == "HARD_REBOOT"
    engine.run()
    (domain,) = next(part for part in engine.plans[-1][1].hosts.values())["libvirt_domain"]["domains"]
    with ready.read() as session:
        newest = session.scalar(select(Job.id).order_by(Job.number.desc()))
    assert domain["reboot"] == {"type": "hard", "mark": newest, "timeout_s": 60}
    assert show(ready.member, id_)["status"] == "ACTIVE"
    names = [row["action"] for row in ready.member.get(f"{URL}/{id_}/os-instance-actions").json["instanceActions"]]
    assert names == ["reboot", "start", "stop", "create"]


def test_unknown_actions_and_wrong_bodies_are_400(ready: Any, boot: Boot) -> None:
    id_ = boot().json["server"]["id"]
    assert act(ready.member, id_, "doSomething").status_code == 400
    assert act(ready.member, id_, "reboot", {"type": "GENTLE"}).status_code == 400
    assert ready.member.post(f"{URL}/{id_}/action", json={}).status_code == 400
    assert act(ready.member, "a-name", "os-stop").status_code == 404


def test_other_projects_see_nothing_and_readers_change_nothing(ready: Any, boot: Boot) -> None:
    id_ = boot().json["server"]["id"]
    assert ready.other.get(f"{URL}/{id_}").status_code == 404
    assert ready.other.delete(f"{URL}/{id_}").status_code == 404
    assert ready.other.get(URL).json["servers"] == []
    assert ready.reader.get(f"{URL}/{id_}").status_code == 200
    assert ready.reader.delete(f"{URL}/{id_}").status_code == 403
    assert act(ready.reader, id_, "os-stop").status_code == 403
    assert ready.member.get(f"{URL}?all_tenants=1").status_code == 403


def test_instance_actions_show_the_playbooks_steps(ready: Any, boot: Boot, engine: Engine) -> None:
    answer = boot()
    id_, request_id = answer.json["server"]["id"], answer.headers["x-compute-request-id"]
    engine.run()
    shown = at(ready.member, "2.96").get(f"{URL}/{id_}/os-instance-actions/{request_id}").json["instanceAction"]
    assert shown["action"] == "create" and shown["request_id"] == request_id and shown["updated_at"]
    (event,) = shown["events"]
    assert event["event"] == "Make the guests as desired" and event["result"] == "Success"
    assert "traceback" not in event and "host" not in event and event["hostId"]
    (seen,) = at(ready.admin, "2.96").get(f"{URL}/{id_}/os-instance-actions/{request_id}").json["instanceAction"][
        "events"]  # fmt: skip
    assert seen["host"] == "c1" and seen["traceback"] is None and seen["details"] is None
    old = ready.member.get(f"{URL}/{id_}/os-instance-actions/{request_id}").json["instanceAction"]
    assert "events" not in old and "updated_at" not in old


def test_no_valid_host_is_an_error_with_every_hosts_reason_for_admins(ready: Any, boot: Boot, network: str,
                                                                      engine: Engine) -> None:  # fmt: skip
    with ready.write() as session:
        session.get(Host, "c2").heartbeat_at = None
    big = {"flavor": {"name": "big", "ram": 100000, "vcpus": 1, "disk": 1, "id": "big"}}
    ready.admin.post("/compute/v2.1/flavors", json=big)
    ready.admin.put(f"/compute/v2.1/os-quota-sets/{ready.project_id}", json={"quota_set": {"ram": -1}})
    id_ = boot(flavorRef="big", networks=[{"uuid": network}]).json["server"]["id"]
    shown = show(ready.member, id_)
    assert shown["status"] == "ERROR" and shown["addresses"] == {}
    assert shown["fault"]["message"] == "No valid host was found. There are not enough hosts available."
    details = show(ready.admin, id_)["fault"]["details"]
    assert "c1: 7680 MB of memory free, 100000 wanted" in details and "c2: it is down" in details
    assert ready.member.get(f"/network/v2.0/ports?device_id={id_}").json["ports"] == []
    assert ready.member.delete(f"{URL}/{id_}").status_code == 204
    assert ready.member.get(f"{URL}/{id_}").status_code == 404
    assert engine.run() == []


def test_several_servers_are_made_all_or_none(ready: Any, boot: Boot) -> None:
    answer = boot(min_count=3, name="web", return_reservation_id=True)
    assert answer.json["reservation_id"].startswith("r-")
    rows = at(ready.member, "2.96").get(f"{URL}/detail?sort_key=display_name&sort_dir=asc").json["servers"]
    assert [row["name"] for row in rows] == ["web-1", "web-2", "web-3"]
    with ready.read() as session:
        assert sorted(session.scalars(select(Server.launch_index))) == [0, 1, 2]
        assert {*session.scalars(select(Server.host))} == {"c1", "c2"}
    over = boot(min_count=8, status=403)
    assert "Quota exceeded for instances" in over.json["forbidden"]["message"]
    assert len(ready.member.get(URL).json["servers"]) == 3
    assert len(boot(min_count=1, max_count=20, return_reservation_id=True).json) == 1
    assert len(ready.member.get(URL).json["servers"]) == 10


def test_console_output_without_a_host_is_409(ready: Any, boot: Boot) -> None:
    id_ = boot().json["server"]["id"]
    assert act(ready.member, id_, "os-getConsoleOutput", {"length": 5}).status_code == 409


def test_console_output_waits_for_the_hosts_answer(ready: Any, boot: Boot, engine: Engine) -> None:
    id_ = boot().json["server"]["id"]
    engine.run()

    def answer() -> None:
        deadline, results = time.monotonic() + 10, {id_: {"output": "login: "}}
        while time.monotonic() < deadline and not engine.run(results, only="compute.server.console"):
            time.sleep(0.02)

    host = threading.Thread(target=answer)
    host.start()
    shown = act(ready.member, id_, "os-getConsoleOutput", {"length": "5"})
    host.join()
    assert shown.json == {"output": "login: "}
    (section,) = engine.plans[-1][1].hosts.values()
    assert section["guest_console"]["length"] == 5
    assert show(ready.member, id_)["OS-EXT-STS:task_state"] is None


def test_locked_servers_are_the_owners_only_to_unlock(ready: Any, boot: Boot, engine: Engine) -> None:
    id_ = boot().json["server"]["id"]
    engine.run()
    assert act(ready.member, id_, "lock", {"locked_reason": "mine"}, "2.73").status_code == 202
    assert (show(ready.member, id_)["locked"], show(ready.member, id_)["locked_reason"]) == (True, "mine")
    for refused in (act(ready.member, id_, "os-stop"), ready.member.delete(f"{URL}/{id_}"),
                    ready.member.put(f"{URL}/{id_}", json={"server": {"name": "x"}})):  # fmt: skip
        assert refused.status_code == 409
    assert act(ready.admin, id_, "os-stop").status_code == 202
    assert act(ready.member, id_, "unlock").status_code == 202
    assert act(ready.admin, id_, "lock").status_code == 202
    assert act(ready.member, id_, "unlock").status_code == 403


def test_metadata_and_tags_are_records(ready: Any, boot: Boot) -> None:
    id_ = boot(metadata={"a": "1"}).json["server"]["id"]
    path, client = f"{URL}/{id_}/metadata", ready.member
    assert client.post(path, json={"metadata": {"b": "2"}}).json == {"metadata": {"a": "1", "b": "2"}}
    assert client.put(f"{path}/a", json={"meta": {"a": "3"}}).json == {"meta": {"a": "3"}}
    assert client.put(f"{path}/a", json={"meta": {"x": "3"}}).status_code == 400
    assert client.delete(f"{path}/b").status_code == 204
    assert client.get(f"{path}/b").status_code == 404
    assert client.put(path, json={"metadata": {"only": "this"}}).json == {"metadata": {"only": "this"}}
    many = {f"k{number}": "v" for number in range(129)}
    assert client.put(path, json={"metadata": many}).status_code == 403
    assert client.get(f"{URL}/{id_}/tags").status_code == 404
    tagger = at(client, "2.26")
    assert tagger.put(f"{URL}/{id_}/tags/one").status_code == 201
    assert tagger.put(f"{URL}/{id_}/tags/one").status_code == 204
    assert tagger.put(f"{URL}/{id_}/tags", json={"tags": ["z", "a"]}).json == {"tags": ["z", "a"]}
    assert tagger.get(f"{URL}/{id_}/tags/one").status_code == 404
    assert tagger.delete(f"{URL}/{id_}/tags").status_code == 204
    assert tagger.get(f"{URL}/{id_}/tags").json == {"tags": []}


def test_fifty_creates_at_once_against_a_quota_of_ten_give_ten(ready: Any, boot: Boot, image: str) -> None:
    answers: list[int] = []
    body = {"server": {"name": "vm", "imageRef": image, "flavorRef": "1", "networks": "none"}}

    def post() -> None:
        answers.append(at(ready.member, "2.96").post(URL, json=body).status_code)

    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [202] * 10 + [403] * 40


def test_a_place_that_another_took_meanwhile_is_looked_for_again(ready: Any, boot: Boot, engine: Engine,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    real, calls = placement.claim, []

    def claim(session: Any, consumer_id: str, host: str, resources: dict[str, int], context: Any) -> None:
        calls.append(host)
        if len(calls) == 2:
            raise placement.NoCapacity(host, "VCPU", 1, 0)
        real(session, consumer_id, host, resources, context)

    monkeypatch.setattr(placement, "claim", claim)
    boot(min_count=2)
    assert len(calls) == 4
    with ready.read() as session:
        assert len(session.scalars(select(Allocation.consumer_id).distinct()).all()) == 2
    assert engine.run() == ["compute.server.create"] * 2
