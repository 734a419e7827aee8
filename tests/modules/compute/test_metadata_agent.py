"""The metadata agent as a process, in a network namespace made for the test, against a small control plane."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")
SECRET = "trial-secret"
ADDRESS = "169.254.169.254"
DOCUMENTS = {
    "openstack": b"2018-08-27\nlatest\n",
    "openstack/latest/meta_data.json": b'{"name": "{{ 7*7 }}"}',
    "latest/meta-data/": b"instance-id\n",
    "latest/meta-data/instance-id": b"i-00000001",
}
GET = """
import http.client, sys
connection = http.client.HTTPConnection("169.254.169.254", 80, timeout=20, source_address=(sys.argv[3], 0))
connection.request(sys.argv[1], sys.argv[2], headers={"X-Forwarded-For": "10.9.9.9", "X-Instance-ID": "forged"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""


class ControlPlane(ThreadingHTTPServer):
    """Answers the signed internal request for one guest."""

    def __init__(self, network_id: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.network_id = network_id
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: ControlPlane

    def do_GET(self) -> None:
        self.server.requests += 1
        query = urllib.parse.urlsplit(self.path).query
        signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        if self.headers["X-Stratiform-Signature"] != signature:
            self.send_error(403)
            return
        if dict(urllib.parse.parse_qsl(query)) != {"network_id": self.server.network_id, "address": "127.0.0.2"}:
            self.send_error(404)
            return
        documents = {path: base64.b64encode(content).decode() for path, content in DOCUMENTS.items()}
        body = json.dumps({"port_id": "p", "server_id": "s", "documents": documents}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


class Trial:
    """A namespace with the agent's listener, and the control plane behind it."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.network_id = str(uuid.uuid4())
        self.namespace = f"trial-{self.network_id[:8]}"
        self.control_plane = ControlPlane(self.network_id)
        self.thread = threading.Thread(target=self.control_plane.serve_forever, daemon=True)
        self.thread.start()
        self.listener = folder / "listeners" / f"{self.network_id}.json"
        self.listener.parent.mkdir()
        self.make_namespace()
        url = f"http://127.0.0.1:{self.control_plane.server_port}"
        (folder / "secret").write_text(SECRET + "\n")
        config = folder / "metadata.toml"
        config.write_text(
            f'metadata_url = "{url}"\nmetadata_secret_file = "{folder / "secret"}"\nstate_dir = "{folder}"\n'
        )
        script = tree / "ansible_collections/stratiform/cloud/plugins/worker/metadata_agent.py"
        self.command = [HOST_PYTHON, "-I", str(script), "--config", str(config)]
        self.start_agent()
        self.listen()

    def start_agent(self) -> None:
        """Start the agent's process."""
        self.agent = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

    def stop_agent(self) -> None:
        """End it as a service manager does."""
        self.agent.terminate()
        assert self.agent.wait(10) == 0

    def make_namespace(self) -> None:
        """A namespace with a loopback device that also has the metadata address."""
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        in_namespace = ["ip", "-n", self.namespace]
        subprocess.run([*in_namespace, "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
        subprocess.run([*in_namespace, "link", "set", "lo", "up"], check=True)

    def remove_namespace(self) -> None:
        """Remove it."""
        subprocess.run(["ip", "netns", "del", self.namespace], check=True)

    def listen(self) -> None:
        """Write the listener's file."""
        listener = {"namespace": self.namespace, "network_id": self.network_id, "address": ADDRESS, "port": 80}
        self.listener.write_text(json.dumps(listener))

    def ask(self, path: str, method: str = "GET", source: str = "127.0.0.2") -> tuple[int, str]:
        """What a guest gets; (0, "") when nobody listens."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, HOST_PYTHON, "-I", "-c", GET, method, path, source],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        status, _space, body = done.stdout.partition(" ")
        return int(status or 0), body.removesuffix("\n")

    def wait(self) -> None:
        """Wait until the agent listens."""
        deadline = time.monotonic() + 15
        while self.ask("/openstack")[0] != 200:
            assert time.monotonic() < deadline and self.agent.poll() is None, "the agent does not answer"
            time.sleep(0.2)

    def stop_control_plane(self) -> None:
        """Take the control plane away."""
        self.control_plane.shutdown()
        self.control_plane.server_close()
        self.thread.join()


@pytest.fixture
def trial(host_tree: Path, tmp_path: Path) -> Iterator[Trial]:
    """A running agent that answers in its namespace."""
    running = Trial(host_tree, tmp_path)
    try:
        running.wait()
        yield running
    finally:
        running.agent.terminate()
        running.agent.wait(10)
        running.remove_namespace()
        if running.thread.is_alive():
            running.stop_control_plane()


def test_documents_by_path(trial: Trial) -> None:
    for path in ("/openstack", "/openstack/", "//openstack?x=1"):
        assert trial.ask(path) == (200, "2018-08-27\nlatest\n")
    assert trial.ask("/openstack/latest/meta_data.json") == (200, '{"name": "{{ 7*7 }}"}')
    assert trial.ask("/latest/meta-data/instance-id") == (200, "i-00000001")
    assert trial.ask("/latest/meta-data") == (200, "instance-id\n")
    for path in ("/openstack/latest/user_data", "/../etc/passwd", "/openstack/latest/../latest"):
        assert trial.ask(path)[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert trial.ask("/openstack/latest/password", method)[0] == 405
    assert trial.ask("/openstack", "HEAD") == (200, "")
    assert trial.control_plane.requests == 1, "one fetch serves all paths while it is fresh"


def test_another_address_gets_nothing_whatever_its_headers_say(trial: Trial) -> None:
    assert trial.ask("/openstack", source="127.0.0.3")[0] == 404


def test_the_documents_outlive_the_control_plane_and_the_agent(trial: Trial) -> None:
    trial.stop_control_plane()
    trial.stop_agent()
    trial.start_agent()
    trial.wait()
    assert trial.ask("/latest/meta-data/instance-id") == (200, "i-00000001")
    assert trial.ask("/openstack", source="127.0.0.3")[0] == 503


def answering(agent: int) -> list[int]:
    """The agent's answering processes."""
    return [int(word) for word in Path(f"/proc/{agent}/task/{agent}/children").read_text().split()]


def test_the_answering_process_may_die_and_leaves_when_idle(trial: Trial) -> None:
    [first] = answering(trial.agent.pid)
    os.kill(first, signal.SIGKILL)
    assert trial.ask("/openstack")[0] == 200
    assert set(answering(trial.agent.pid)) - {first}
    deadline = time.monotonic() + 30
    while answering(trial.agent.pid):
        assert time.monotonic() < deadline, "an idle agent keeps its answering process"
        time.sleep(0.5)
    assert trial.ask("/openstack")[0] == 200


@pytest.mark.parametrize("config", ["", 'metadata_url = "http://127.0.0.1:9"\n', "metadata_url"])
def test_a_bad_configuration_ends_it_with_a_sentence(host_tree: Path, tmp_path: Path, config: str) -> None:
    path = tmp_path / "metadata.toml"
    path.write_text(config)
    script = host_tree / "ansible_collections/stratiform/cloud/plugins/worker/metadata_agent.py"
    done = subprocess.run(
        [HOST_PYTHON, "-I", str(script), "--config", str(path)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1 and done.stderr.startswith("stratiform-metadata: ")


def test_listeners_come_and_go_with_their_files_and_namespaces(trial: Trial) -> None:
    trial.listener.unlink()
    deadline = time.monotonic() + 10
    while trial.ask("/openstack")[0]:
        assert time.monotonic() < deadline, "the agent still listens"
        time.sleep(0.2)
    trial.listen()
    trial.wait()
    trial.remove_namespace()
    trial.make_namespace()
    trial.wait()
