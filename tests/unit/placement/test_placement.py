"""Placement: claims never overcommit, and the API shows what is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from api.db.base import utcnow
from api.db.hosts import Host
from api.http.context import Context
from api.placement import service

CONTEXT = Context("req-1", "user", project_id="project")
FACTS = {"vcpus": 4, "memory_mb": 4096, "disk_gb": 10, "cpu_info": {"arch": "x86_64"}}
API = "/placement/resource_providers"


@pytest.fixture(scope="session")
def services() -> Sequence[str]:
    return ("identity", "placement")


@pytest.fixture
def hosted(cloud: Any) -> Any:
    with cloud.write() as session:
        session.add(Host(name="c1", groups=["compute"], variables={}, facts=FACTS, heartbeat_at=utcnow()))
        session.add(Host(name="net", groups=["network"], variables={}, facts=FACTS, heartbeat_at=utcnow()))
        session.flush()
        for name in ("c1", "net"):
            service.sync_host(session, name, FACTS)
    return cloud


def at(client: Any, version: str) -> Any:
    return client.with_headers(OpenStack_API_Version=f"placement {version}")


def test_claims_end_where_the_capacity_ends(hosted: Any) -> None:
    with hosted.write() as session:
        service.claim(session, "one", "c1", {"VCPU": 4, "MEMORY_MB": 3000, "DISK_GB": 0}, CONTEXT)
        with pytest.raises(service.NoCapacity) as caught:
            service.claim(session, "two", "c1", {"MEMORY_MB": 600}, CONTEXT)
        assert (caught.value.resource_class, caught.value.wanted, caught.value.free) == ("MEMORY_MB", 600, 584)
        with pytest.raises(service.NoCapacity):
            service.claim(session, "two", "c1", {"VCPU": 5}, CONTEXT)
        assert service.usage(session, "c1") == {"VCPU": 4, "MEMORY_MB": 3000}
        service.release(session, "one")
        assert service.usage(session, "c1") == {}
        with pytest.raises(KeyError):
            service.claim(session, "two", "net", {"VCPU": 1}, CONTEXT)


def test_candidates_are_the_compute_hosts(hosted: Any) -> None:
    with hosted.write() as session:
        service.set_disabled(session, "c1", True)
    with hosted.read() as session:
        (state,) = service.candidates(session)
        assert (state.host, state.is_up, state.disabled, state.availability_zone) == ("c1", True, True, "nova")
        assert state.totals == {"VCPU": 4, "MEMORY_MB": 4096 - 512, "DISK_GB": 10}
        assert state.free("VCPU") == 64 and state.free("PCI_DEVICE") == 0
        assert state.facts["cpu_info"] == {"arch": "x86_64"}
        assert service.candidates(session, all_facts=True)[0].facts == FACTS


def test_the_version_document_needs_no_token(hosted: Any) -> None:
    (version,) = hosted.anonymous.get("/placement/").json["versions"]
    assert (version["min_version"], version["max_version"]) == ("1.0", "1.39")
    assert hosted.admin.get(API).headers["OpenStack-API-Version"] == "placement 1.0"
    assert at(hosted.admin, "1.40").get(API).status_code == 406


def test_providers_grow_with_the_microversion(hosted: Any) -> None:
    (old,) = hosted.admin.get(API).json["resource_providers"]
    assert set(old) == {"uuid", "name", "generation", "links"}
    assert [link["rel"] for link in old["links"]] == ["self", "inventories", "usages"]
    newest = at(hosted.admin, "1.39").get(API)
    (row,) = newest.json["resource_providers"]
    assert row["root_provider_uuid"] == row["uuid"] and row["parent_provider_uuid"] is None
    assert "allocations" in [link["rel"] for link in row["links"]]
    assert newest.headers["Cache-Control"] == "no-cache" and newest.headers["Last-Modified"].endswith("GMT")


def test_what_a_provider_has_and_who_claimed_it(hosted: Any) -> None:
    with hosted.write() as session:
        service.claim(session, "consumer", "c1", {"VCPU": 2}, CONTEXT)
    client = at(hosted.admin, "1.39")
    url = f"{API}/{client.get(API).json['resource_providers'][0]['uuid']}"
    inventories = client.get(f"{url}/inventories").json["inventories"]
    assert inventories["MEMORY_MB"] == {"total": 4096, "reserved": 512, "min_unit": 1, "max_unit": 4096,
                                        "step_size": 1, "allocation_ratio": 1.0}  # fmt: skip
    assert client.get(f"{url}/inventories/VCPU").json["allocation_ratio"] == 16.0
    assert client.get(f"{url}/inventories/NONE").status_code == 404
    assert client.get(f"{url}/usages").json["usages"] == {"VCPU": 2, "MEMORY_MB": 0, "DISK_GB": 0}
    assert client.get(f"{url}/allocations").json["allocations"] == {
        "consumer": {"resources": {"VCPU": 2}, "consumer_generation": 1}
    }
    assert "HW_ARCH_X86_64" in client.get(f"{url}/traits").json["traits"]
    assert client.get(f"{url}/aggregates").json["aggregates"] == []
    assert at(hosted.admin, "1.5").get(f"{url}/traits").status_code == 404


def test_providers_are_found_by_what_they_have(hosted: Any) -> None:
    client = at(hosted.admin, "1.39")

    def count(query: str) -> int:
        return len(client.get(f"{API}?{query}").json["resource_providers"])

    assert [count(query) for query in ("name=c1", "name=none", "resources=VCPU:4", "resources=VCPU:5",
                                       "required=COMPUTE_NODE", "required=!COMPUTE_NODE")] == [1, 0, 1, 0, 1, 0]
    assert client.get(f"{API}?resources=rubbish").status_code == 400
    assert client.get(f"{API}?unknown=1").status_code == 400


def test_it_is_the_operators_and_what_is_not_there_is_404(hosted: Any) -> None:
    assert hosted.anonymous.get(API).status_code == 401
    assert hosted.member.get(API).status_code == 403
    missing = hosted.admin.get(f"{API}/a-name")
    assert missing.status_code == 404 and missing.json["errors"][0]["status"] == 404
    for path in ("allocation_candidates", "traits", "resource_classes", "usages"):
        assert hosted.admin.get(f"/placement/{path}").status_code == 404  # in 1.0 there were none of them
    assert "code" not in missing.json["errors"][0]
    assert at(hosted.admin, "1.23").get(f"{API}/a-name").json["errors"][0]["code"] == (
        "placement.resource_provider.not_found"
    )
