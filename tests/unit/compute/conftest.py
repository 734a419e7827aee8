"""A cloud with compute and what it stands on, hosts that report, an image that boots, and a small engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.db.base import new_uuid, utcnow
from api.db.hosts import Host
from api.engine.actions import Failure, Outcome, Plan, action, notify
from api.engine.models import DONE, FAILED, QUEUED, Job
from api.image.models import Image

FACTS: dict[str, Any] = {
    "vcpus": 4, "memory_mb": 8192, "disk_gb": 100, "disk_free_gb": 80, "hypervisor_type": "QEMU",
    "hypervisor_version": 7002000, "hypervisor_up": True, "virt_type": "qemu", "uptime_s": 90061, "boot_id": "boot-1",
    "cpu_info": {"arch": "x86_64", "model": "Some", "vendor": "Any", "features": ["sse"],
                 "topology": {"sockets": 1, "cores": 4, "threads": 1}},
    "running_vms": 0, "memory_mb_used": 900,
}  # fmt: skip


@pytest.fixture(scope="session")
def services() -> Sequence[str]:
    return ("identity", "placement", "network", "image", "compute")


def report(session: Session, name: str, kind: str = "heartbeat", **facts: Any) -> None:
    """A host's worker says how it is."""
    host = session.get(Host, name)
    assert host is not None
    host.facts = FACTS | facts
    host.heartbeat_at = utcnow()
    notify(session, kind, name, {"type": kind, "host": host.facts, "domains": []})  # type: ignore[arg-type]


def add_host(session: Session, name: str, groups: tuple[str, ...] = ("compute",), zone: str | None = None,
             **facts: Any) -> None:  # fmt: skip
    """A host of the inventory that reports."""
    variables = {"stratiform_tunnel_ip": "192.0.2.10"}
    session.add(Host(name=name, groups=list(groups),
                     variables=variables | ({"stratiform_availability_zone": zone} if zone else {})))  # fmt: skip
    session.flush()
    report(session, name, **facts)


@dataclass
class Engine:
    """Stands in for the engine: carries out queued jobs by plan() and succeeded() or failed(), on no host at all."""

    cloud: Any
    plans: list[tuple[str, Plan]] = field(default_factory=list)

    def run(self, results: dict[str, Any] | None = None, failure: Failure | None = None,
            only: str = "compute.") -> list[str]:  # fmt: skip
        """Every queued job whose action begins with `only`, in order; the names of their actions."""
        done = []
        while job_number := self._next(only):
            with self.cloud.read() as session:
                job = session.get(Job, job_number)
                list(action(job.action).locks(session, job))
                plan = action(job.action).plan(session, job)
                self.plans.append((job.action, plan))
            with self.cloud.write() as session:
                job = session.get(Job, job_number)
                done.append(job.action)
                self._finish(session, job, plan, results, failure)
        return done

    def _next(self, only: str) -> int | None:
        with self.cloud.read() as session:
            query = select(Job.number).where(Job.state == QUEUED, Job.action.startswith(only)).order_by(Job.number)
            number: int | None = session.scalar(query)
            return number

    def _finish(self, session: Session, job: Job, plan: Plan, results: dict[str, Any] | None,
                failure: Failure | None) -> None:  # fmt: skip
        job.started_at = job.finished_at = utcnow()
        step = {"name": "Make the guests as desired", "host": "c1", "started_at": utcnow().isoformat(),
                "finished_at": utcnow().isoformat(), "result": "failed" if failure else "changed",
                "message": failure.message if failure else None}  # fmt: skip
        job.steps = [step] if plan.hosts else []
        if failure:
            job.state = FAILED
            action(job.action).failed(session, job, failure)
            return
        job.state = DONE
        seen = {domain["id"]: {"power_state": domain.get("power_state", "nostate"), "vnc_port": 5900}
                for modules in plan.hosts.values()
                for domain in modules.get("libvirt_domain", {}).get("domains", [])}  # fmt: skip
        results = seen if results is None else results
        action(job.action).succeeded(session, job, Outcome(results))
        job.result = {"results": results}


@pytest.fixture
def engine(ready: Any) -> Engine:
    return Engine(ready)


@pytest.fixture
def ready(cloud: Any) -> Any:
    """The cloud with two hosts."""
    with cloud.write() as session:
        add_host(session, "c1", ("compute", "control", "network"))
        add_host(session, "c2")
    return cloud


@pytest.fixture
def image(ready: Any) -> str:
    """A public image that is active; its bytes are nowhere, since no host is there to fetch them."""
    with ready.write() as session:
        row = Image(
            id=new_uuid(), name="tiny", owner=ready.admin_project_id, visibility="public", status="active",
            size=17_000_000, virtual_size=64 << 20, disk_format="qcow2", container_format="bare", checksum="0" * 32,
            os_hash_algo="sha512", os_hash_value="0" * 128, min_disk=0, min_ram=0, created_at=utcnow(),
            updated_at=utcnow(),
        )  # fmt: skip
        session.add(row)
        return str(row.id)


@pytest.fixture
def flavor(ready: Any) -> str:
    body = {"flavor": {"name": "tiny", "ram": 128, "vcpus": 1, "disk": 1, "id": "1"}}
    assert ready.admin.post("/compute/v2.1/flavors", json=body).status_code == 200
    return "1"


@pytest.fixture
def network(ready: Any) -> str:
    """A network of the project demo with a subnet."""
    made = ready.member.post("/network/v2.0/networks", json={"network": {"name": "net"}})
    assert made.status_code == 201, made.json
    network_id: str = made.json["network"]["id"]
    body = {"subnet": {"network_id": network_id, "cidr": "10.0.0.0/24", "ip_version": 4}}
    assert ready.member.post("/network/v2.0/subnets", json=body).status_code == 201
    return network_id


Boot = Callable[..., Any]


@pytest.fixture
def boot(ready: Any, image: str, flavor: str) -> Boot:
    """POST /servers by the member at the newest version, without networks unless told; more fields as keywords."""

    def post(client: Any = None, version: str = "2.96", status: int = 202, hints: Any = None, **fields: Any) -> Any:
        server = {"name": "vm", "imageRef": image, "flavorRef": flavor, "networks": "none"} | fields
        body = {"server": {key: value for key, value in server.items() if value is not ...}}
        if hints is not None:
            body["os:scheduler_hints"] = hints
        caller = (client or ready.member).with_headers(OpenStack_API_Version=f"compute {version}")
        answer = caller.post("/compute/v2.1/servers", json=body)
        assert answer.status_code == status, answer.json
        return answer

    return post


def at(client: Any, version: str) -> Any:
    """The same caller at a microversion."""
    return client.with_headers(OpenStack_API_Version=f"compute {version}")


def show(client: Any, server_id: str, version: str = "2.96") -> Any:
    """A server as the caller sees it."""
    answer = at(client, version).get(f"/compute/v2.1/servers/{server_id}")
    assert answer.status_code == 200, answer.json
    return answer.json["server"]
