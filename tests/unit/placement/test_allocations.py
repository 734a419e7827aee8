"""Allocations in all their forms, generations of consumers, usages, and reshaping."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from api.http.context import Context
from api.placement import service

RP = "/resource_providers"
WHO = {"project_id": "project", "user_id": "user"}


@pytest.fixture
def one(call: Any) -> str:
    made: str = call.provider("one", VCPU=4, DISK_GB=10)
    return made


def held(provider: str, **resources: int) -> dict[str, Any]:
    return {provider: {"resources": resources}}


def code(answer: Any) -> str:
    (error,) = answer["errors"]
    return str(error["code"])


@pytest.mark.parametrize("version, body", [
    ("1.0", {}), ("1.8", WHO), ("1.12", WHO), ("1.28", WHO | {"consumer_generation": None}),
    ("1.34", WHO | {"consumer_generation": None, "mappings": {"": [str(uuid.uuid4())]}}),
    ("1.38", WHO | {"consumer_generation": None, "consumer_type": "INSTANCE"}),
])  # fmt: skip
def test_each_microversion_has_its_form(call: Any, one: str, version: str, body: dict[str, Any]) -> None:
    consumer = str(uuid.uuid4())
    listed = [{"resource_provider": {"uuid": one}, "resources": {"VCPU": 2}}]
    old = version in ("1.0", "1.8")
    allocations = listed if old else held(one, VCPU=2)
    wrong = held(one, VCPU=2) if old else listed
    at = call.at(version)
    at("PUT", f"/allocations/{consumer}", 400, {"allocations": wrong, **body})
    at("PUT", f"/allocations/{consumer}", 400, {"allocations": allocations, **body, "more": 1})
    at("PUT", f"/allocations/{consumer}", 204, {"allocations": allocations, **body})
    shown = call("GET", f"/allocations/{consumer}", 200)
    assert shown["allocations"][one]["resources"] == {"VCPU": 2}
    assert shown["consumer_generation"] == 1
    assert shown["consumer_type"] == body.get("consumer_type", "unknown")
    assert shown["project_id"] == body.get("project_id", "00000000-0000-0000-0000-000000000000")
    call("DELETE", f"/allocations/{consumer}", 204)
    call("DELETE", f"/allocations/{consumer}", 404)
    assert call("GET", f"/allocations/{consumer}", 200) == {"allocations": {}}


def test_a_consumer_is_changed_by_who_saw_it_last(call: Any, one: str) -> None:
    url = f"/allocations/{uuid.uuid4()}"
    body = {"allocations": held(one, VCPU=1), **WHO, "consumer_type": "INSTANCE"}
    assert code(call("PUT", url, 409, body | {"consumer_generation": 1})) == "placement.concurrent_update"
    call("PUT", url, 204, body | {"consumer_generation": None})
    call("PUT", url, 409, body | {"consumer_generation": None})
    call("PUT", url, 204, body | {"consumer_generation": 1, "allocations": held(one, VCPU=4)})
    assert call("GET", f"{RP}/{one}/usages", 200)["usages"] == {"DISK_GB": 0, "VCPU": 4}
    call("PUT", url, 204, body | {"consumer_generation": 2, "allocations": {}})
    assert call("GET", url, 200) == {"allocations": {}}


@pytest.mark.parametrize("resources", [
    {"VCPU": 5}, {"MEMORY_MB": 1}, {"DISK_GB": 3}, {"DISK_GB": 10}, {"DISK_GB": 2},
])  # fmt: skip
def test_what_does_not_fit_is_refused_as_a_whole(call: Any, one: str, resources: dict[str, int]) -> None:
    fields = {"total": 10, "min_unit": 4, "max_unit": 8, "step_size": 4}
    call("PUT", f"{RP}/{one}/inventories/DISK_GB", 200, fields | {"resource_provider_generation": 1})
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    body = {**WHO, "consumer_generation": None, "consumer_type": "INSTANCE"}
    many = {first: body | {"allocations": held(one, VCPU=1)}, second: body | {"allocations": held(one, **resources)}}
    call("POST", "/allocations", 409, many)
    assert call("GET", f"{RP}/{one}/allocations", 200)["allocations"] == {}


def test_bad_claims_are_400(call: Any, one: str) -> None:
    body = {**WHO, "consumer_generation": None, "consumer_type": "INSTANCE"}
    url = f"/allocations/{uuid.uuid4()}"
    for allocations in (held(str(uuid.uuid4()), VCPU=1), held(one, CUSTOM_NONE=1), held(one, VCPU=0), held(one),
                        held("a-name", VCPU=1)):  # fmt: skip
        call("PUT", url, 400, body | {"allocations": allocations})
    call("PUT", "/allocations/a-name", 400, body | {"allocations": held(one, VCPU=1)})
    call("PUT", url, 400, body | {"allocations": held(one, VCPU=1), "consumer_type": "instance"})
    call.at("1.12")("POST", "/allocations", 404, {})


def test_many_consumers_change_at_once(call: Any, one: str) -> None:
    """The room that one gives up is there for the other, in the same request."""
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    body = {**WHO, "consumer_generation": None, "consumer_type": "INSTANCE"}
    call("POST", "/allocations", 204, {first: body | {"allocations": held(one, VCPU=4)}})
    swap = {first: body | {"consumer_generation": 1, "allocations": {}},
            second: body | {"allocations": held(one, VCPU=4)}}  # fmt: skip
    call("POST", "/allocations", 204, swap)
    assert list(call("GET", f"{RP}/{one}/allocations", 200)["allocations"]) == [second]
    call("DELETE", f"{RP}/{one}", 409)
    call("DELETE", f"{RP}/{one}/inventories", 409)


def test_usages_of_a_project(call: Any, one: str) -> None:
    for user, kind, amount in (("ann", "INSTANCE", 1), ("bob", "INSTANCE", 1), ("bob", "MIGRATION", 2)):
        body = {"project_id": call.cloud.project_id, "user_id": user, "consumer_generation": None,
                "consumer_type": kind, "allocations": held(one, VCPU=amount)}  # fmt: skip
        call("PUT", f"/allocations/{uuid.uuid4()}", 204, body)
    mine = f"/usages?project_id={call.cloud.project_id}"
    assert call.at("1.37")("GET", mine, 200)["usages"] == {"VCPU": 4}
    assert call.at("1.37")("GET", f"{mine}&user_id=bob", 200)["usages"] == {"VCPU": 3}
    assert call("GET", mine, 200)["usages"] == {
        "INSTANCE": {"VCPU": 2, "consumer_count": 2}, "MIGRATION": {"VCPU": 2, "consumer_count": 1}}  # fmt: skip
    assert call("GET", f"{mine}&consumer_type=all", 200)["usages"] == {"all": {"VCPU": 4, "consumer_count": 3}}
    assert call("GET", f"{mine}&consumer_type=unknown", 200)["usages"] == {}
    call("GET", "/usages", 400)
    version = {"OpenStack-API-Version": "placement 1.39"}
    assert call.cloud.reader.get(f"/placement{mine}", headers=version).status_code == 200
    assert call.cloud.other.get(f"/placement{mine}", headers=version).status_code == 403


def test_a_servers_claim_is_seen_and_counts(call: Any, one: str) -> None:
    """The scheduler writes through the same code: its claims bear the type INSTANCE and stand in the way of others."""
    server = str(uuid.uuid4())
    with call.cloud.write() as session:
        service.claim(session, server, "one", {"VCPU": 3}, Context("req-1", "user", project_id="project"))
    shown = call("GET", f"/allocations/{server}", 200)
    assert shown["allocations"][one]["resources"] == {"VCPU": 3} and shown["consumer_type"] == "INSTANCE"
    body = {**WHO, "consumer_generation": None, "consumer_type": "OTHER", "allocations": held(one, VCPU=2)}
    call("PUT", f"/allocations/{uuid.uuid4()}", 409, body)


def test_reshaping_moves_what_is_in_use(call: Any, one: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.placement.routes.allocations.allow", lambda rule: None)  # a service's, not an admin's
    consumer, child = str(uuid.uuid4()), call.provider("child", one)
    body = {**WHO, "consumer_type": "INSTANCE"}
    call("PUT", f"/allocations/{consumer}", 204,
         body | {"consumer_generation": None, "allocations": held(one, VCPU=2, DISK_GB=1)})  # fmt: skip
    move = {
        "inventories": {
            one: {"resource_provider_generation": 2, "inventories": {"DISK_GB": {"total": 10}}},
            child: {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4}}},
        },
        "allocations": {
            consumer: body | {"consumer_generation": 1, "allocations": held(one, DISK_GB=1) | held(child, VCPU=2)}
        },
    }
    left = {**move, "allocations": {}}
    assert code(call("POST", "/reshaper", 409, left)) == "placement.inventory.inuse"
    call("POST", "/reshaper", 204, move)
    assert call("GET", f"{RP}/{child}/usages", 200)["usages"] == {"VCPU": 2}
    assert call("GET", f"{RP}/{one}/usages", 200)["usages"] == {"DISK_GB": 1}
    assert code(call("POST", "/reshaper", 409, move)) == "placement.concurrent_update"


def test_only_services_reshape(call: Any) -> None:
    inventories = {str(uuid.uuid4()): {"resource_provider_generation": 0, "inventories": {}}}
    call("POST", "/reshaper", 403, {"inventories": inventories, "allocations": {}})
    call("POST", "/reshaper", 400, {"inventories": {}, "allocations": {}})
