"""What a run does for its job, with real playbooks on the local machine."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine_bench import Bench

HOSTILE = "{{ lookup('pipe', 'touch %s') }} {%% raw %%} \" ' \\ \n ../ \U0001f600"


def test_a_run_that_succeeds(bench: Bench) -> None:
    text = HOSTILE % (bench.root / "executed")
    job_id = bench.add(text=text)
    job = bench.wait(job_id)
    assert job.state == "done", bench.engine_log()
    assert job.result == {"results": {"r1": {"text": text, "generation": job.number}}}
    assert not (bench.root / "executed").exists()
    assert [outcome["what"] for outcome in bench.outcomes(job_id)] == ["started", "succeeded"]
    assert job.attempts == 1
    assert job.hosts == ["h1"]
    assert job.owner is None
    [step] = job.steps
    assert (step["name"], step["host"], step["result"]) == ("Probe the host", "h1", "changed")
    assert step["started_at"] < step["finished_at"]

    folder = bench.state / "jobs" / job_id
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "begin", "changed", "end"]
    assert {path.name for path in folder.iterdir()} == {"events.jsonl", "output"}
    assert text not in bench.engine_log()
    assert events[0]["request_id"] == "req-test"
    assert f"job {job_id} fake.probe done request=req-test" in bench.engine_log()
    assert stat.S_IMODE((bench.state / "jobs").stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o710
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_module_that_fails_tells_the_tenant_why(bench: Bench) -> None:
    job_id = bench.add(message="The disk is full: free some space.")
    job = bench.wait(job_id)
    assert job.state == "failed"
    assert job.error == {
        "kind": "failed", "message": "The disk is full: free some space.", "host": "h1", "step": "Probe the host"
    }  # fmt: skip
    assert job.attempts == 1
    assert bench.outcomes(job_id)[-1]["results"]["r1"]["generation"] == job.number
    request = bench.state / "jobs" / job_id / "request.json"
    assert stat.S_IMODE(request.stat().st_mode) == 0o600
    document = json.loads(request.read_text())
    assert document["generation"] == job.number
    assert document["hosts"]["h1"]["probe"]["generation"] == job.number


def test_what_goes_wrong_before_a_run(bench: Bench) -> None:
    unplanned = bench.add(resource="a", plan_fails=True)
    unstored = bench.add(resource="b", store_fails=True)
    unknown = bench.add(resource="c", host="nowhere")
    broken = bench.add("fake.broken", resource="d")
    nothing = bench.add(resource="e", sections={})
    for job_id in (unplanned, unstored, unknown, broken):
        job = bench.wait(job_id)
        assert job.state == "failed"
        assert job.error is not None
        assert job.error["kind"] == "engine"
        assert bench.outcomes(job_id)[-1]["what"] == "failed"
    assert "nowhere is not in the inventory" in bench.job(unknown).error["message"]
    assert bench.wait(nothing).state == "done"
    assert "RuntimeError: no plan" in bench.engine_log()


def test_a_host_out_of_reach_is_tried_until_the_deadline(bench: Bench) -> None:
    job_id = bench.add("fake.short", host="far")
    job = bench.wait(job_id)
    assert job.state == "failed"
    assert job.error["kind"] == "unreachable"
    assert job.error["host"] == "far"
    assert "could not be reached" in job.error["message"]


def test_only_the_plans_hosts_take_part(bench: Bench) -> None:
    sections = {host: {"id": host, "log": str(bench.log)} for host in ("h1", "h2")}
    job = bench.wait(bench.add(sections=sections))
    assert job.state == "done"
    assert sorted(job.result["results"]) == ["h1", "h2"] == job.hosts


def test_the_inventory_becomes_rows_and_changes_are_noticed(new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    bench.start()

    def names() -> list[str]:
        return [host.name for host in bench.hosts("compute")]

    bench.until(lambda: names() == ["far", "h1", "h2"])
    assert bench.hosts()[1].variables == {"stratiform_tunnel_ip": "10.0.0.1"}
    inventory = Path(bench.root / "inventory")
    inventory.write_text("[compute]\nh1 ansible_connection=local\nh3 ansible_connection=local\n")
    bench.until(lambda: names() == ["h1", "h3"])
    assert bench.wait(bench.add(host="h3")).state == "done"
