"""Compute's jobs: which playbook, which request document, and what the result changes."""

from api.compute.actions import power, queries
from api.engine.actions import register

for _action in (
    power.Create(), power.Start(), power.Stop(), power.Reboot(), power.Converge(), power.Delete(),
    power.Pause(), power.Unpause(), power.Suspend(), power.Resume(), power.Interrupt(), queries.Console(),
):  # fmt: skip
    register(_action)
