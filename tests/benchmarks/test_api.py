"""CPU of the API's own work a request, in one process, without HTTP: `pytest -s tests/benchmarks/test_api.py`.

The database holds 100 servers with a port each (their jobs wait: no engine runs), read at microversion 2.1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from api.app import SERVICES
from tests.unit.compute.conftest import Boot, boot, flavor, image, network, ready
from tests.unit.conftest import _cloud_templates, cloud

__all__ = ["_cloud_templates", "boot", "cloud", "flavor", "image", "network", "ready"]
ROUNDS = 30


@pytest.fixture(scope="session")
def services() -> Sequence[str]:
    return SERVICES


def cpu_ms(call: Callable[[], Any]) -> float:
    """CPU milliseconds of one call, the median of ROUNDS after two to warm up."""
    figures = []
    for _ in range(ROUNDS + 2):
        begin = time.process_time()
        call()
        figures.append((time.process_time() - begin) * 1000)
    return sorted(figures[2:])[ROUNDS // 2]


@pytest.fixture
def hundred(ready: Any, boot: Boot, network: str) -> Any:
    """The member's project with 100 servers on one network."""
    limits = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    assert ready.admin.put(f"/compute/v2.1/os-quota-sets/{ready.project_id}", json=limits).status_code == 200
    ports = {"quota": {"port": -1}}
    assert ready.admin.put(f"/network/v2.0/quotas/{ready.project_id}", json=ports).status_code == 200
    for index in range(100):
        boot(name=f"vm-{index}", networks=[{"uuid": network}], metadata={"index": str(index)})
    return ready


def test_reads_and_records(hundred: Any) -> None:
    member = hundred.member
    for path in ("/identity/v3/auth/tokens", "/compute/v2.1/flavors", "/compute/v2.1/limits", "/network/v2.0/networks",
                 "/network/v2.0/ports?limit=100", "/compute/v2.1/servers?limit=100",
                 "/compute/v2.1/servers/detail?limit=100"):  # fmt: skip
        headers = {"X-Subject-Token": hundred.tokens["member"]} if path.endswith("tokens") else {}

        def read(path: str = path, headers: dict[str, str] = headers) -> None:
            assert member.get(path, headers=headers).status_code == 200

        print(f"\nGET {path}: {cpu_ms(read):.2f} ms", end="")

    def create() -> None:
        assert member.post("/network/v2.0/networks", json={"network": {"name": "x"}}).status_code == 201

    print(f"\nPOST /network/v2.0/networks: {cpu_ms(create):.2f} ms")
