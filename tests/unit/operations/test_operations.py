"""Who sees which operations, and how much of them; cancel and retry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from operation_jobs import OTHERS, job_of, write_events

from api.engine import actions, processes
from api.engine.metrics import Metrics, path_of

URL = "/operations/v1/operations"
Add = Callable[..., str]


def ids(client: Any, query: str = "") -> list[str]:
    answer = client.get(f"{URL}{query}")
    assert answer.status_code == 200, answer.json
    return [operation["id"] for operation in answer.json["operations"]]


def test_projects_see_their_own_and_operators_all(cloud: Any, add_job: Add) -> None:
    mine, theirs, nobodys = add_job(), add_job(project_id=cloud.other_project_id), add_job(project_id=None)
    assert ids(cloud.reader) == [mine]
    assert ids(cloud.other) == [theirs]
    assert ids(cloud.admin) == []
    assert ids(cloud.admin, "?all_projects=true") == [nobodys, theirs, mine]
    assert ids(cloud.admin, f"?project_id={cloud.project_id}") == [mine]
    for query in ("?all_projects=true", f"?project_id={cloud.other_project_id}", "?host=compute7"):
        assert cloud.member.get(f"{URL}{query}").status_code == 403
    for path in (theirs, nobodys, f"{theirs}/events", f"{theirs}/output"):
        assert cloud.member.get(f"{URL}/{path}").status_code in (403, 404)
    for verb in ("cancel", "retry"):
        assert cloud.member.post(f"{URL}/{theirs}/{verb}").status_code == 404
        assert cloud.reader.post(f"{URL}/{mine}/{verb}").status_code == 403


def test_lists_are_filtered_and_paged(cloud: Any, add_job: Add) -> None:
    all_ = [add_job(network_id=f"n{number}", request_id=f"req-{number}") for number in range(5)]
    failed = add_job("failed", network_id="bad")
    assert ids(cloud.member, "?state=failed") == [failed]
    assert ids(cloud.member, "?request_id=req-3") == [all_[3]]
    assert ids(cloud.member, "?resource_type=network&resource_id=n2") == [all_[2]]
    assert ids(cloud.member, "?action=compute.server.create") == []
    assert ids(cloud.admin, "?all_projects=1&host=compute7") == [failed]
    assert ids(cloud.admin, "?all_projects=1&host=compute") == []
    assert ids(cloud.member, "?changes_since=2020-01-01T00:00:00Z") == [failed, *reversed(all_)]
    assert ids(cloud.member, "?changes_since=2099-01-01T00:00:00Z") == []
    first = cloud.member.get(f"{URL}?limit=4&sort_key=created_at").json
    assert [row["id"] for row in first["operations"]] == all_[:4]
    (link,) = first["operations_links"]
    path = link["href"].removeprefix("https://cloud.test:8443")
    assert [row["id"] for row in cloud.member.get(path).json["operations"]] == [all_[4], failed]
    for query in ("?state=odd", "?limit=-1", "?changes_since=x", "?nonsense=1", "?marker=nope"):
        assert cloud.member.get(f"{URL}{query}").status_code == 400, query


def test_tenants_see_neither_hosts_nor_others(cloud: Any, add_job: Add) -> None:
    id_ = add_job("failed", network_id="22222222-2222-4333-8444-555555555555")
    seen = cloud.member.get(f"{URL}/{id_}")
    assert "compute7" not in seen.text and OTHERS not in seen.text and "control1" not in seen.text
    operation = seen.json["operation"]
    assert operation["error"]["message"] == (
        "The host (a host) could not make (another resource) nor 22222222-2222-4333-8444-555555555555"
    )
    assert operation["steps"][0]["result"] == "failed"
    whole = cloud.admin.get(f"{URL}/{id_}").json["operation"]
    assert whole["hosts"] == ["compute7"] and whole["events_on"] == "control1"
    assert OTHERS in whole["error"]["message"]
    hosts_filter = add_job(network_id="compute7", resource_type="filter")
    assert "compute7" not in cloud.member.get(f"{URL}/{hosts_filter}").text
    assert "compute7" not in cloud.member.get(f"{URL}?state=queued").text


def test_output_is_for_operators(cloud: Any, add_job: Add) -> None:
    id_ = add_job("failed")
    assert cloud.admin.get(f"{URL}/{id_}/output").status_code == 404
    write_events(id_).with_name("output").write_text("what Ansible said\n")
    assert cloud.admin.get(f"{URL}/{id_}/output").text == "what Ansible said\n"
    assert cloud.member.get(f"{URL}/{id_}/output").status_code == 403


def test_cancel_is_for_owners_and_operators(cloud: Any, add_job: Add) -> None:
    for client in (cloud.member, cloud.admin):
        id_ = add_job()
        answer = client.post(f"{URL}/{id_}/cancel")
        assert answer.status_code == 202, answer.json
        assert answer.json["operation"]["cancel_requested"] is True
        assert answer.headers["Location"].endswith(f"{URL}/{id_}")
        assert job_of(cloud, id_).cancel_requested
    ended = add_job("done")
    answer = cloud.member.post(f"{URL}/{ended}/cancel")
    assert answer.status_code == 409
    assert answer.json["error"]["request_id"] == answer.headers["x-openstack-request-id"]


def test_retry_makes_a_new_operation_once(cloud: Any, add_job: Add) -> None:
    for id_ in (add_job("done"), add_job()):
        assert cloud.member.post(f"{URL}/{id_}/retry").status_code == 409
    for state in ("failed", "cancelled"):
        former = add_job(state, network_id=state)
        answer = cloud.member.post(f"{URL}/{former}/retry")
        assert answer.status_code == 202, answer.json
        made = answer.json["operation"]
        assert made["retry_of"] == former and made["state"] == "queued"
        assert made["request_id"] == answer.headers["x-openstack-request-id"]
        assert made["resources"] == [{"type": "network", "id": state}]
        assert job_of(cloud, made["id"]).project_id == cloud.project_id
        assert cloud.member.post(f"{URL}/{former}/retry").status_code == 409


def test_an_action_may_refuse_to_be_retried(cloud: Any, add_job: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    former = add_job("failed")
    action = actions.action("network.network.apply")
    monkeypatch.setattr(type(action), "retried", lambda *_: "The network is gone.")
    answer = cloud.member.post(f"{URL}/{former}/retry")
    assert (answer.status_code, answer.json["error"]["message"]) == (409, "The network is gone.")
    assert ids(cloud.member) == [former]


def test_the_catalog_has_the_service(cloud: Any) -> None:
    answer = cloud.login("member", cloud.passwords["member"], {"project": {"id": cloud.project_id}})
    (entry,) = [entry for entry in answer.json["token"]["catalog"] if entry["type"] == "operations"]
    assert {endpoint["url"] for endpoint in entry["endpoints"]} == {"https://cloud.test:8443/operations"}


def test_metrics_are_for_operators_and_cover_queue_and_engines(cloud: Any, add_job: Add) -> None:
    add_job()
    add_job("running")
    numbers = Metrics()
    numbers.claimed("network.network.apply", 0.3)
    numbers.run_began("j", warm=True)
    numbers.run_ended("j", "network/network_apply.yml", "ok")
    numbers.job_ended("network.network.apply", "done")
    numbers.put_back("network.network.apply", "unreachable")
    numbers.publish(warm_ready=1.0)
    gone = path_of(processes.here().pid).with_name("metrics-4194303.json")
    gone.write_text(path_of(processes.here().pid).read_text().replace(str(processes.here().pid), "4194303"))
    assert cloud.member.get("/operations/v1/metrics").status_code == 403
    assert cloud.anonymous.get("/internal/metrics").status_code == 403
    text = cloud.admin.get("/operations/v1/metrics").text
    assert cloud.anonymous.get("/internal/metrics", headers={"X-Stratiform-Operator": "local"}).status_code == 200
    for line in (
        'stratiform_jobs{action="network.network.apply",state="queued"} 1.0',
        'stratiform_jobs{action="network.network.apply",state="running"} 1.0',
        'stratiform_host_up{host="compute7"} 0.0', "stratiform_engines 1.0", "stratiform_event_streams 0.0",
    ):  # fmt: skip
        assert line in text
    pid = processes.here().pid
    for line in (
        f'stratiform_jobs_ended_total{{action="network.network.apply",engine="{pid}",state="done"}} 1.0',
        f'stratiform_job_retries_total{{action="network.network.apply",engine="{pid}",reason="unreachable"}} 1.0',
        f'stratiform_runs_total{{engine="{pid}",playbook="network/network_apply.yml",result="ok"}} 1.0',
        f'stratiform_job_wait_seconds_bucket{{action="network.network.apply",engine="{pid}",le="0.5"}} 1.0',
        f'stratiform_job_wait_seconds_bucket{{action="network.network.apply",engine="{pid}",le="0.2"}} 0.0',
        f'stratiform_warm_ready{{engine="{pid}"}} 1.0',
    ):  # fmt: skip
        assert line in text, text
    queued = 'stratiform_oldest_job_age_seconds{state="queued"'
    age = next(line for line in text.splitlines() if line.startswith(queued))
    assert float(age.rsplit(" ", 1)[1]) > 0
