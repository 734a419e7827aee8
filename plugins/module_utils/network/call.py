"""What the network modules' calls share: the generations' lock, checks, one item's failure kept from the others."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeVar

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.stratiform.cloud.plugins.module_utils.command import CommandError
from ansible_collections.stratiform.cloud.plugins.module_utils.host_state import Generations
from ansible_collections.stratiform.cloud.plugins.module_utils.network import namespaces, netlink
from ansible_collections.stratiform.cloud.plugins.module_utils.network.names import Unusable
from ansible_collections.stratiform.cloud.plugins.module_utils.result import Outcome

Plan = TypeVar("Plan")

# What can go wrong with one item while the others can still be carried out.
ITEM_ERRORS = (Unusable, CommandError, netlink.NetlinkError, OSError)


class Call(abc.ABC):
    """One call of a network module. A module's own class carries it out in :meth:`run`."""

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

    def finish(self, generations: Generations) -> NoReturn:
        """End the module."""
        self.outcome.extra.update(generations.report())
        self.outcome.exit(self.module)

    @abc.abstractmethod
    def run(self, host: netlink.Netlink) -> Generations:
        """Carry the call out; ``host`` is the namespace that the module runs in."""

    @classmethod
    def main(cls, name: str, arguments: dict[str, Any]) -> NoReturn:
        """Run the module of that name."""
        call = cls(AnsibleModule(argument_spec=arguments, supports_check_mode=True), name)
        with netlink.Netlink() as host:
            generations = call.run(host)
        call.finish(generations)


class NamespacePlan(Protocol):
    """The desired state of an object that has a namespace of its own, checked."""

    id: str
    present: bool
    namespace: str


AnyPlan = TypeVar("AnyPlan", bound=NamespacePlan)


class NamespacesCall(Call, Generic[AnyPlan]):
    """A call on objects stated whole that have a namespace each."""

    objects: ClassVar[str]
    """The argument with their list."""
    kind: ClassVar[str]
    """What one is called in a diff."""

    def run(self, host: netlink.Netlink) -> Generations:
        """The listed objects, absent ones first because they may hold addresses of others; then what is not listed."""
        parameters = self.module.params
        with self.generations() as generations:
            if parameters["purge"] and generations.refuses():
                return generations
            plans = [
                plan for plan in self.plans(self.plan, parameters[self.objects]) if not generations.refuses(plan.id)
            ]
            generations.save()
            for plan in sorted(plans, key=lambda plan: plan.present):
                with self.item(plan.id):
                    self._carry_out(host, plan)
            if parameters["purge"] and not self.outcome.failures:
                self._purge(host, {plan.id for plan in plans if plan.present})
        return generations

    def _carry_out(self, host: netlink.Netlink, plan: AnyPlan) -> None:
        with contextlib.ExitStack() as stack:
            there = namespaces.exists(plan.namespace)
            inside = stack.enter_context(netlink.Netlink(plan.namespace)) if there else None
            before, after = self.observe(host, inside, plan), self.desired(plan)
            changed = self.outcome.change(f"{self.kind} {plan.id}", before, after)
            if not self.check_mode:
                if after is not None:
                    if inside is None:
                        namespaces.create(plan.namespace)
                        inside = stack.enter_context(netlink.Netlink(plan.namespace))
                    self.apply(host, inside, plan, before, after)
                elif changed:
                    self.remove(host, plan.id, plan)
        self.outcome.record(plan.id, namespace=plan.namespace, present=plan.present)

    def _purge(self, host: netlink.Netlink, listed: set[str]) -> None:
        for object_id in sorted(self.found() - listed):
            with self.item(object_id):
                self.outcome.change(f"leftover {self.kind} {object_id}", {"namespace": True}, None)
                if not self.check_mode:
                    self.remove(host, object_id, None)

    @abc.abstractmethod
    def plan(self, arguments: dict[str, Any]) -> AnyPlan:
        """Check an object's arguments."""

    @abc.abstractmethod
    def observe(self, host: netlink.Netlink, inside: netlink.Netlink | None, plan: AnyPlan) -> dict[str, Any] | None:
        """What is there of an object."""

    @abc.abstractmethod
    def desired(self, plan: AnyPlan) -> dict[str, Any] | None:
        """What shall be of it."""

    @abc.abstractmethod
    def apply(
        self,
        host: netlink.Netlink,
        inside: netlink.Netlink,
        plan: AnyPlan,
        before: dict[str, Any] | None,
        after: dict[str, Any],
    ) -> None:
        """Bring it from one state to the other."""

    @abc.abstractmethod
    def remove(self, host: netlink.Netlink, object_id: str, plan: AnyPlan | None) -> None:
        """Take it away; without a plan when only its id is known."""

    @abc.abstractmethod
    def found(self) -> set[str]:
        """The ids of all that is here."""
