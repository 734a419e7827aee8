"""What hosts report changes servers, and restarts bring them back."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from api.compute.models import Server
from api.db.hosts import Host
from api.engine.actions import notify
from api.placement.models import ResourceProvider

from .conftest import FACTS, Boot, Engine, at, report, show

URL = "/compute/v2.1/servers"


@pytest.fixture
def active(ready: Any, boot: Boot, engine: Engine) -> str:
    id_: str = boot().json["server"]["id"]
    engine.run()
    return id_


def host_of(cloud: Any, id_: str) -> str:
    with cloud.read() as session:
        return str(session.scalar(select(Server.host).where(Server.id == id_)))


def tell(cloud: Any, id_: str, power_state: str, reason: str = "") -> None:
    message = {"type": "domain", "id": id_, "power_state": power_state, "event": "stopped", "reason": reason}
    with cloud.write() as session:
        notify(session, "domain", session.scalar(select(Server.host).where(Server.id == id_)), message)


def snapshot(cloud: Any, host: str, domains: list[dict[str, str]] | None, boot_id: str = "boot-1") -> None:
    message: dict[str, Any] = {"type": "snapshot", "host": FACTS | {"boot_id": boot_id}, "ports": []}
    with cloud.write() as session:
        notify(session, "snapshot", host, message if domains is None else message | {"domains": domains})


@pytest.mark.parametrize(
    ("reason", "word"), [("guest_shutdown", "powered itself off"), ("killed", "crashed or was killed")]
)
def test_a_guest_that_ends_by_itself_is_shutoff(ready: Any, active: str, reason: str, word: str) -> None:
    tell(ready, active, "shutdown", reason)
    shown = show(ready.member, active)
    assert (shown["status"], shown["OS-EXT-STS:power_state"]) == ("SHUTOFF", 4)
    newest = at(ready.member, "2.96").get(f"{URL}/{active}/os-instance-actions").json["instanceActions"][0]
    assert newest["action"] == "stop" and word in newest["message"] and newest["user_id"] is None


def test_events_during_a_job_are_the_jobs_own(ready: Any, active: str, engine: Engine) -> None:
    ready.member.post(f"{URL}/{active}/action", json={"reboot": {"type": "HARD"}})
    tell(ready, active, "shutdown", "destroyed")
    assert show(ready.member, active)["status"] == "HARD_REBOOT"
    engine.run()
    assert show(ready.member, active)["status"] == "ACTIVE"


def test_a_snapshot_without_domains_says_nothing_and_with_them_everything(ready: Any, active: str) -> None:
    host = host_of(ready, active)
    snapshot(ready, host, None)
    assert show(ready.member, active)["status"] == "ACTIVE"
    snapshot(ready, host, [{"id": active, "power_state": "running", "reason": ""}])
    assert show(ready.member, active)["status"] == "ACTIVE"
    snapshot(ready, host, [])
    assert show(ready.member, active)["status"] == "SHUTOFF"


def test_a_restarted_host_gets_back_what_ran_and_nothing_else(ready: Any, boot: Boot, active: str,
                                                              engine: Engine) -> None:  # fmt: skip
    host = host_of(ready, active)
    ids = [boot(client=ready.admin, availability_zone=f"nova:{host}").json["server"]["id"] for _ in range(2)]
    engine.run()
    ready.admin.post(f"{URL}/{ids[0]}/action", json={"os-stop": None})
    engine.run()
    tell(ready, ids[1], "shutdown", "host_shutdown")
    running = [{"id": id_, "power_state": "running", "reason": ""} for id_ in (active,)]
    snapshot(ready, host, running)
    off = [{"id": id_, "power_state": "shutdown", "reason": "unknown"} for id_ in (active, *ids)]
    snapshot(ready, host, off, boot_id="boot-2")
    with ready.write() as session:
        notify(session, "host_restarted", host, {"host": FACTS | {"boot_id": "boot-2"}})
    assert engine.run() == ["compute.server.converge"] * 2
    assert [show(ready.admin, id_)["status"] for id_ in (active, *ids)] == ["ACTIVE", "SHUTOFF", "ACTIVE"]


def test_a_guest_started_behind_a_users_back_is_stopped_again(ready: Any, active: str, engine: Engine) -> None:
    ready.member.post(f"{URL}/{active}/action", json={"os-stop": None})
    engine.run()
    tell(ready, active, "running")
    assert engine.run() == ["compute.server.stop"]
    (domain,) = engine.plans[-1][1].hosts[host_of(ready, active)]["libvirt_domain"]["domains"]
    assert domain["power_state"] == "shutdown"
    assert show(ready.member, active)["status"] == "SHUTOFF"


def test_a_guest_that_ended_and_runs_again_is_active(ready: Any, active: str) -> None:
    tell(ready, active, "shutdown", "destroyed")
    tell(ready, active, "running")
    assert show(ready.member, active)["status"] == "ACTIVE"


def test_capacity_is_written_only_when_it_changed(ready: Any) -> None:
    def generation() -> int:
        with ready.read() as session:
            return int(session.scalar(select(ResourceProvider.generation).where(ResourceProvider.name == "c1")) or 0)

    before = generation()
    with ready.write() as session:
        report(session, "c1", disk_free_gb=3)
    assert generation() == before
    with ready.write() as session:
        report(session, "c1", vcpus=8)
    assert generation() == before + 1


def test_a_silent_host_is_down_and_takes_nothing(ready: Any, boot: Boot) -> None:
    with ready.write() as session:
        for name in ("c1", "c2"):
            session.get(Host, name).heartbeat_at = None
    states = {row["state"] for row in ready.admin.get("/compute/v2.1/os-services").json["services"]}
    assert states == {"down"}
    assert show(ready.member, boot().json["server"]["id"])["status"] == "ERROR"
