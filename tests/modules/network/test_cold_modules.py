"""Each network module in a Python of its own, as where no resident worker answers, does what the worker does."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Host
from .test_killed_runs import CASES
from .test_network_router import BRIDGE, SECOND


@pytest.mark.parametrize(("name", "present", "absent"), CASES, ids=[case[0] for case in CASES])
def test_a_cold_run_does_the_same(host: Host, name: str, present: dict[str, Any], absent: dict[str, Any]) -> None:
    if name != "network_bridge":
        for bridge in (BRIDGE, SECOND, "br-ext"):
            host.run("ip", "link", "add", bridge, "type", "bridge")
    for arguments in (present, absent):
        predicted = host.module(name, check=True, **arguments)
        done = host.module_cold(name, **arguments)
        assert not done.get("failed"), done["msg"]
        assert (done["changed"], done.get("diff")) == (True, predicted.get("diff"))
        assert host.module(name, **arguments)["changed"] is False
