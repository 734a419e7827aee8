"""A request's secrets are in its document and nowhere else: no command line, environment, artifact, event or log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine_bench import Bench

SECRET = "a-password-8c1f"
MINIMAL = {
    "PATH", "HOME", "LANG", "TMPDIR", "PWD", "PYTHONPATH", "LC_CTYPE", "STRATIFORM_CONFIG", "STRATIFORM_EVENTS",
    "STRATIFORM_RESULTS", "STRATIFORM_REQUEST_ID", "STRATIFORM_WORKER_SOCKET", "AWX_ISOLATED_DATA_DIR",
    "ORIGINAL_STDOUT_CALLBACK", "SSH_ASKPASS_REQUIRE", "MAX_EVENT_RES", "RUNNER_OMIT_EVENTS",
    "RUNNER_ONLY_FAILED_EVENTS",
}  # fmt: skip
"""What processes of a run may find in their environment, beside ANSIBLE_*."""


def holders(folder: Path, secret: str) -> set[str]:
    """The files below a folder that hold the secret."""
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    }  # fmt: skip


def test_a_secret_stays_in_its_document(bench: Bench) -> None:
    job_id = bench.add(resource="secretive", sleep_s=3, text=SECRET, message="It failed.")
    bench.until(lambda: bench.began("secretive"))
    pids = bench.processes()
    assert len(pids) > 3
    names: set[str] = set()
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue  # over meanwhile
        assert SECRET.encode() not in command + environment, command
        names |= {line.split(b"=")[0].decode() for line in environment.split(b"\0") if line}
    assert {name for name in names if not name.startswith("ANSIBLE_")} <= MINIMAL
    during = holders(bench.state, SECRET)
    job = bench.wait(job_id)
    assert job.state == "failed"
    assert during == holders(bench.state, SECRET) - {"outcomes.jsonl"} == {f"jobs/{job_id}/request.json"}
    assert SECRET not in bench.engine_log()
    assert not (bench.state / "jobs" / job_id / "artifacts").exists()
    kept = {path.name for path in (bench.state / "jobs" / job_id).iterdir()}
    assert kept == {"events.jsonl", "output", "request.json"}
    assert os.stat(bench.state / "jobs" / job_id / "request.json").st_mode & 0o777 == 0o600
