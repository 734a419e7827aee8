"""Lists of servers: filters, sorting, paging, and what they cost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert

from api.compute.models import Server, ServerTag
from api.db.base import new_uuid, utcnow

from .conftest import Boot, Engine, at

URL = "/compute/v2.1/servers"


def ids(client: Any, query: str, version: str = "2.96") -> list[str]:
    answer = at(client, version).get(f"{URL}?{query}")
    assert answer.status_code == 200, answer.json
    return [row["name"] for row in answer.json["servers"]]


@pytest.fixture
def three(ready: Any, boot: Boot, engine: Engine, network: str) -> list[str]:
    found = [
        boot(name="alpha", tags=["red"], networks=[{"uuid": network, "fixed_ip": "10.0.0.50"}]),
        boot(name="beta", tags=["red", "blue"], config_drive=True),
    ]
    engine.run()
    found.append(boot(name="gamma"))
    return [answer.json["server"]["id"] for answer in found]


def test_filters(ready: Any, three: list[str], image: str) -> None:
    for query, expected in {
        "status=ACTIVE": "alpha beta", "status=build": "gamma", "name=a%24": "alpha beta gamma",
        "name=%5Ea": "alpha", "name=BET": "beta", f"image={image}": "alpha beta gamma", "flavor=1": "alpha beta gamma",
        "flavor=2": "", "ip=10.0.0.5": "alpha", "tags=red": "alpha beta", "tags=red,blue": "beta",
        "tags-any=blue,green": "beta", "not-tags=red": "gamma", "not-tags-any=blue": "alpha gamma", "locked=false":
        "alpha beta gamma", "locked=true": "", "config_drive=true": "beta", "vm_state=active": "alpha beta",
        "task_state=spawning": "gamma", "power_state=1": "alpha beta", "availability_zone=nova": "alpha beta gamma",
        "changes-since=2999-01-01T00:00:00Z": "", "changes-before=2999-01-01T00:00:00Z": "alpha beta gamma",
        "reservation_id=r-none": "",
    }.items():  # fmt: skip
        assert sorted(ids(ready.member, query)) == expected.split(), query


def test_unknown_filters_are_ignored_before_2_75_and_refused_after(ready: Any, three: list[str]) -> None:
    assert len(ids(ready.member, "nonsense=1", "2.74")) == 3
    assert at(ready.member, "2.75").get(f"{URL}?nonsense=1").status_code == 400
    assert len(ids(ready.member, "host=none", "2.74")) == 3
    assert at(ready.admin, "2.1").get(f"{URL}?all_tenants=1&host=none").json["servers"] == []
    assert at(ready.member, "2.38").get(f"{URL}?status=NONSENSE").status_code == 400
    assert ids(ready.member, "status=NONSENSE", "2.37") == []
    assert at(ready.member, "2.96").get(f"{URL}?name=%28").status_code == 400
    assert ready.member.get(f"{URL}?status=deleted").status_code == 403


def test_a_tenants_regular_expression_cannot_take_long(ready: Any, boot: Boot) -> None:
    boot(name="a" * 200)
    started = time.process_time()
    assert ids(ready.member, "name=%28a%2B%29%2B%24b") == []
    assert time.process_time() - started < 1


def test_sorting_and_paging(ready: Any, three: list[str]) -> None:
    assert ids(ready.member, "sort_key=display_name&sort_dir=desc") == ["gamma", "beta", "alpha"]
    assert ids(ready.member, "") == ["gamma", "beta", "alpha"]
    first = ready.member.get(f"{URL}?limit=2").json
    assert [row["name"] for row in first["servers"]] == ["gamma", "beta"]
    (link,) = first["servers_links"]
    assert link["rel"] == "next" and link["href"].startswith("https://cloud.test:8443/compute/v2.1/servers?")
    second = ready.member.get(link["href"].removeprefix("https://cloud.test:8443")).json
    assert [row["name"] for row in second["servers"]] == ["alpha"] and "servers_links" not in second
    assert ready.member.get(f"{URL}?marker=none").status_code == 400
    assert ready.member.get(f"{URL}?limit=-1").status_code == 400
    assert ready.member.get(f"{URL}?sort_key=nonsense").status_code == 400


def test_a_hundred_servers_in_detail_cost_little(ready: Any, boot: Boot, engine: Engine, network: str) -> None:
    ready.admin.put(f"/compute/v2.1/os-quota-sets/{ready.project_id}",
                    json={"quota_set": {"instances": -1, "cores": -1, "ram": -1}})  # fmt: skip
    boot(networks=[{"uuid": network}], metadata={"a": "b"}, tags=["x"])
    engine.run()
    with ready.write() as session:
        row = session.query(Server).one()
        values = {column.key: getattr(row, column.key) for column in Server.__table__.columns}
        copies = [values | {"number": row.number + place, "id": new_uuid(), "created_at": utcnow()}
                  for place in range(1, 100)]  # fmt: skip
        session.execute(insert(Server), copies)
        session.execute(insert(ServerTag), [{"server_id": copy["id"], "tag": "x", "position": 0} for copy in copies])
    client = at(ready.member, "2.96")
    assert len(client.get(f"{URL}/detail").json["servers"]) == 100
    costs = []
    for _ in range(5):
        started = time.process_time()
        client.get(f"{URL}/detail")
        costs.append(time.process_time() - started)
    assert min(costs) < 0.06, costs  # measured 0.015 on a quiet machine, framework included
