"""The action plugins in real playbook runs: with a worker that answers, and without one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[3]
HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Read
      stratiform.cloud.guest_console:
        request: "{{ stratiform_request }}"
    - name: Of nothing
      stratiform.cloud.libvirt_domain:
        request: "{{ stratiform_request }}"
    - name: Steps
      stratiform.cloud.guest_console:
        request: "{{ stratiform_request }}"
        step: again
"""
HOSTILE = "{{ lookup('pipe', 'touch ' ~ playbook_dir ~ '/executed') }}"


class FakeWorker:
    """Answers every call alike and keeps the calls."""

    def __init__(self, path: Path, answer: dict[str, Any]) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                self.calls.append(json.loads(lines.readline()))
                connection.sendall(json.dumps(self.answer).encode() + b"\n")

    def stop(self) -> None:
        """End."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class Run:
    """A playbook run with a request document."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        collection = folder / "collections" / "ansible_collections" / "stratiform"
        collection.mkdir(parents=True)
        (collection / "cloud").symlink_to(REPO)
        (folder / "play.yml").write_text(PLAYBOOK)
        (folder / "inventory").write_text(f"host1 ansible_connection=local ansible_python_interpreter={HOST_PYTHON}\n")
        (folder / "ansible.cfg").write_text("[defaults]\nstdout_callback = ansible.builtin.default\n")
        self.console = folder / "console.log"
        self.console.write_text(f"{HOSTILE}\n")
        self.socket_path = folder / "worker.sock"

    def play(self, hosts: dict[str, Any], *options: str) -> tuple[int, str]:
        """The exit code and output."""
        document = {"job": "j", "hosts": hosts}
        (self.folder / "request.json").write_text(json.dumps(document))
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory", "play.yml", "-v"),
                *("-e", f"stratiform_request={self.folder / 'request.json'}", *options),
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
                "ANSIBLE_SHOW_CUSTOM_STATS": "1",
                "STRATIFORM_WORKER_SOCKET": str(self.socket_path),
            },
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A playbook run."""
    return Run(tmp_path)


@pytest.fixture
def worker(run: Run) -> Iterator[FakeWorker]:
    """A worker that answers."""
    result = {
        "changed": True,
        "invocation": {"module_args": {"secret": "leaked"}},
        "ansible_stats": {"data": {"results": {"s": {"output": HOSTILE}}}, "per_host": True, "aggregate": True},
    }
    fake = FakeWorker(run.socket_path, result)
    yield fake
    fake.stop()


def sections(run: Run) -> dict[str, Any]:
    """A host's part of the request document."""
    one = {"id": "s", "path": str(run.console)}
    two = {"id": "t", "path": str(run.console)}
    return {"host1": {"guest_console": one, "guest_console#again": [one, two]}}


def test_without_a_worker_the_module_runs_in_the_ordinary_way(run: Run) -> None:
    code, output = run.play(sections(run))
    assert code == 0, output
    assert "ok=2" in output and "skipped=1" in output
    stats = output[output.index("CUSTOM STATS") :]
    assert '"s"' in stats and '"t"' in stats and "lookup(" in stats
    assert not (run.folder / "executed").exists()
    assert "module_args" not in output


def test_with_a_worker_it_gets_the_section_as_it_is(run: Run, worker: FakeWorker) -> None:
    hosts = sections(run)
    hosts["host1"]["guest_console"]["title"] = HOSTILE
    code, output = run.play(hosts, "--check", "--diff")
    assert code == 0, output
    assert [call["args"]["id"] for call in worker.calls] == ["s", "s", "t"]
    first = worker.calls[0]
    assert first["args"]["title"] == HOSTILE
    assert (first["op"], first["module"], first["check_mode"], first["diff"]) == ("run", "guest_console", True, True)
    assert not (run.folder / "executed").exists()
    assert "leaked" not in output


def test_a_worker_that_does_not_know_the_module_is_passed_by(run: Run, worker: FakeWorker) -> None:
    worker.answer = {"failed": True, "msg": "no such module", "unknown_module": True}
    code, output = run.play(sections(run))
    assert code == 0, output
    assert "lookup(" in output[output.index("CUSTOM STATS") :]


def test_a_failure_is_the_tasks_failure(run: Run, worker: FakeWorker) -> None:
    worker.answer = {"failed": True, "msg": "Give it more memory.", "failed_resources": ["s"]}
    code, output = run.play(sections(run))
    assert code == 2 and "Give it more memory." in output and "failed_resources" in output


def test_a_missing_document_is_a_sentence(run: Run) -> None:
    code, output = run.play({}, "-e", "stratiform_request=/nonexistent/request.json")
    assert code == 2 and "cannot be read" in output
