"""What the network modules' calls share: the generations' lock, checks, one item's failure kept from the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandError
from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import Generations
from ansible_collections.stratiform.cloud.plugins.module_utils.network import netlink
from ansible_collections.stratiform.cloud.plugins.module_utils.network.names import Unusable
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome

Plan = TypeVar("Plan")

# What can go wrong with one item while the others can still be carried out.
ITEM_ERRORS = (Unusable, CommandError, netlink.NetlinkError, OSError)


class Call:
    """One call of a network module."""

    def __init__(self, module: AnsibleModule, name: str) -> None:
        if netlink.PYROUTE2_ERROR:
            module.fail_json(msg=missing_required_lib("pyroute2"), exception=netlink.PYROUTE2_ERROR)
        self.module = module
        self.name = name
        self.outcome = Outcome()
        self.check_mode: bool = module.check_mode

    def generations(self) -> Generations:
        """The module's generations for this call's job."""
        return Generations(self.name, self.module.params.get("generation"), self.check_mode)

    @contextlib.contextmanager
    def item(self, resource_id: str) -> Iterator[None]:
        """Carry out one item; its failure is noted and the call goes on with the next."""
        try:
            yield
        except ITEM_ERRORS as error:
            self.outcome.fail(resource_id, netlink.error_sentence(error))

    def plans(self, make: Callable[[dict[str, Any]], Plan], arguments: Iterable[dict[str, Any]]) -> list[Plan]:
        """Check the items; those that can't be carried out are noted as failures."""
        made = []
        for item in arguments:
            with self.item(item["id"]):
                made.append(make(item))
        return made

    def finish(self, generations: Generations) -> None:
        """End the module."""
        self.outcome.extra.update(generations.report())
        self.outcome.exit(self.module)
