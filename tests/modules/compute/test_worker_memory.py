"""The resident worker stays small: what it loads, what it leaves out, and that the rest works all the same."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")
# Memory of its own; what it shares with every other Python process (the interpreter, libraries) is not counted.
WORKER_ANONYMOUS_MB = 21
OBSERVER_PRIVATE_MB = 5

PRELUDE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.stratiform.cloud.plugins.worker import calls, preload
modules = preload.tenant_modules()
"""
USE_NETLINK = """
from ansible_collections.stratiform.cloud.plugins.module_utils.network.netlink import Netlink
with Netlink() as netlink:
    netlink.add_link("br-trial", "bridge")
    netlink.add_link("vxlan-7", "vxlan", vxlan_id=7, vxlan_learning=False, vxlan_local="127.0.0.1", vxlan_port=4789)
    netlink.add_link("one", "veth", peer="other")
    netlink.set_link("vxlan-7", master=netlink.index("br-trial"), mtu=1400, state="up")
    netlink.set_link("one", state="up")
    netlink.add_flood_peer("vxlan-7", "127.0.0.9")
    netlink.add_address("one", "10.9.9.1/24")
    netlink.add_route("10.8.0.0/16", "10.9.9.2", "one")
    print(json.dumps({
        "kind": netlink.link("vxlan-7").kind, "mtu": netlink.link("vxlan-7").mtu, "links": sorted(netlink.links()),
        "peers": netlink.flood_peers("vxlan-7"), "addresses": netlink.addresses("one"),
        "routes": [route.destination for route in netlink.static_routes()],
        "baggage": [name for name in ("unittest", "asyncio", "pyroute2.ndb", "_ssl") if name in sys.modules],
    }))
"""
USE_HTTPS = """
from ansible_collections.stratiform.cloud.plugins.module_utils.compute import image_cache
before = hasattr(image_cache.ssl, "__file__")
context = image_cache.ssl.create_default_context()
image_cache.urllib.request.build_opener(image_cache.urllib.request.HTTPSHandler(context=context))
try:
    image_cache.urllib.request.urlopen("http://127.0.0.1:9/", timeout=5)
except image_cache.urllib.error.URLError as error:
    is_real = type(context) is sys.modules["ssl"].SSLContext
    print(json.dumps({"loaded_before": before, "error": str(error), "is_real": is_real}))
"""


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace for the test alone."""
    name = f"trial-{uuid.uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def run_preloaded(tree: Path, code: str, *before: str) -> dict[str, Any]:
    """What a script prints that runs behind the worker's preload."""
    done = subprocess.run(
        [*before, HOST_PYTHON, "-I", "-c", PRELUDE + code, str(tree)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_the_lean_pyroute2_does_all_that_the_modules_ask(host_tree: Path, namespace: str) -> None:
    found = run_preloaded(host_tree, USE_NETLINK, "ip", "netns", "exec", namespace)
    assert {"br-trial", "vxlan-7", "one", "other"} <= set(found["links"])
    assert (found["kind"], found["mtu"]) == ("vxlan", 1400)
    assert found["peers"] == ["127.0.0.9"]
    assert found["addresses"] == ["10.9.9.1/24"]
    assert found["routes"] == ["10.8.0.0/16"]
    assert found["baggage"] == []


def test_https_loads_when_it_is_used(host_tree: Path) -> None:
    found = run_preloaded(host_tree, USE_HTTPS)
    assert found["loaded_before"] is False and found["is_real"] is True
    assert "refused" in found["error"]


def memory_mb(pid: int, *kinds: str) -> float:
    """The sum of some lines of a process's smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return sum(sizes[kind] for kind in kinds) / 1024


def test_the_worker_and_its_observer_stay_small(worker: Any, libvirt_runs: None) -> None:
    pid = worker.process.pid
    assert memory_mb(pid, "Anonymous") < WORKER_ANONYMOUS_MB
    children = Path(f"/proc/{pid}/task/{pid}/children")
    before = set(children.read_text().split())
    with worker.connect() as client:
        client.sendall(b'{"op": "observe"}\n')
        assert json.loads(client.makefile("rb").readline())["type"] == "snapshot"
        time.sleep(1)
        [observer] = set(children.read_text().split()) - before
        assert memory_mb(int(observer), "Private_Dirty") < OBSERVER_PRIVATE_MB
