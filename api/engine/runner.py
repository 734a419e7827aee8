"""One run through ansible-runner, in a process of its own: forked from the warm process, or started cold.

The playbook gets the request document's path and the request's id, and nothing else of the request. What happens is
written by our callback plugin (plugins/callback/stratiform_events.py); of ansible-runner's artifacts the end of the
output is kept.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from api.engine import processes

EVENTS, RESULTS, OUTPUT, REQUEST, RUN = "events.jsonl", "results.jsonl", "output", "request.json", "run.json"
OUTPUT_LIMIT_BYTES = 64 * 1024
CALLBACK = "stratiform.cloud.stratiform_events"


@dataclass(frozen=True)
class Spec:
    """What to run: all of it the engine's own words, none of it a tenant's."""

    job_dir: str
    project_dir: str
    inventory: str
    playbook: str
    hosts: list[str]
    request_id: str
    """The answer's x-openstack-request-id, of our own making."""

    def dumps(self) -> bytes:
        """As it travels to the warm process or on the cold run's command line."""
        return json.dumps(asdict(self)).encode()


def loads(data: bytes | str) -> Spec:
    """The spec that `Spec.dumps` wrote."""
    return Spec(**json.loads(data))


def environment(project_dir: str, home: Path, run_dir: Path) -> dict[str, str]:
    """All that runs (and the warm process, which reads Ansible's settings once) find in their environment."""
    project = Path(project_dir)
    roots = [project / ".ansible" / "collections"]
    if project.parts[-3:] == ("ansible_collections", "stratiform", "cloud"):
        roots.insert(0, project.parents[2])
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": os.environ.get("HOME", "/root"),
        "LANG": "C.UTF-8",
        "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_LOCAL_TEMP": str(home / "tmp"),
        "ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, roots)),
        "ANSIBLE_STDOUT_CALLBACK": CALLBACK,
        "ANSIBLE_RETRY_FILES_ENABLED": "False",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
        "ANSIBLE_NOCOLOR": "1",
        "STRATIFORM_WORKER_SOCKET": str(run_dir / "worker.sock"),
    }


def leaving_nothing(work: Callable[[], int]) -> int:
    """The exit code of `work`; unless all went well, what it left running ends (a killed worker's module, say)."""
    processes.adopt_orphans()
    code = 255
    try:
        code = work()
    finally:
        if code != 0:
            processes.end_descendants()
    return code


def run(spec: Spec, command: list[str] | None = None) -> int:
    """Runs the playbook to its end, as the leader of its process group; ansible-playbook's exit code.

    It is negative or above 127 when that was killed. `command` takes the place of `ansible-playbook`. The environment
    is this process's own.
    """
    from ansible_runner import Runner, RunnerConfig

    job_dir = Path(spec.job_dir)
    artifacts = job_dir / "artifacts"
    config = RunnerConfig(
        private_data_dir=str(job_dir), project_dir=spec.project_dir, artifact_dir=str(artifacts), ident="run",
        inventory=spec.inventory, playbook=str(Path(spec.project_dir, "playbooks", "tenant", spec.playbook)),
        limit=",".join(spec.hosts),
        extravars={"stratiform_request": str(job_dir / REQUEST), "stratiform_request_id": spec.request_id},
        fact_cache_type="none", quiet=True,
    )  # fmt: skip
    config.prepare()
    config.runner_mode = "subprocess"
    config.env |= {
        "ANSIBLE_STDOUT_CALLBACK": CALLBACK,
        "STRATIFORM_EVENTS": str(job_dir / EVENTS),
        "STRATIFORM_RESULTS": str(job_dir / RESULTS),
        "STRATIFORM_REQUEST_ID": spec.request_id,
    }
    if command:
        config.command[:1] = command
    try:
        _status, code = Runner(config).run()
        _keep_output(artifacts / "run", job_dir / OUTPUT)
    finally:
        shutil.rmtree(artifacts, ignore_errors=True)
    return int(code)


def _keep_output(artifacts: Path, path: Path) -> None:
    """Keeps the end of what the playbook printed: words of Ansible itself when a run could not begin."""
    kept = b""
    for name in ("stdout", "stderr"):
        with (artifacts / name).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - OUTPUT_LIMIT_BYTES // 2))
            kept += file.read()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(kept)


def main() -> int:
    """A cold run: `python -m api.engine.runner <spec> <the engine's pid>`, leader of its process group."""
    processes.end_with_parent(signal.SIGKILL, int(sys.argv[2]))
    os.environ.pop("PYTHONPATH", None)
    code = leaving_nothing(lambda: run(loads(sys.argv[1])))
    return code if 0 <= code < 128 else 137


if __name__ == "__main__":
    sys.exit(main())
