"""Compute's jobs: which playbook, which request document, and what the result changes."""

from api.compute.actions import images, interfaces, power, queries, reshape
from api.engine.actions import register

for _action in (
    power.Create(), power.Start(), power.Stop(), power.Reboot(), power.Converge(), power.Delete(),
    power.Pause(), power.Unpause(), power.Suspend(), power.Resume(), power.Interrupt(),
    reshape.Rescue(), reshape.Unrescue(), reshape.Rebuild(),
    reshape.Resize(), reshape.ConfirmResize(), reshape.RevertResize(),
    images.Snapshot(), images.Shelve(), images.Offload(), images.Unshelve(), images.SpawnShelved(),
    queries.Console(), queries.Password(), queries.Diagnostics(),
    interfaces.AttachInterface(), interfaces.DetachInterface(),
):  # fmt: skip
    register(_action)
