"""What a module call on many resources reports: one changed flag, one diff, one result or one failure per resource."""

from __future__ import annotations

from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule


class Outcome:
    """Collects the results of a list of resources, then ends the module with all of them.

    A resource that fails does not stop the others: note it with :meth:`fail` and go on.
    """

    def __init__(self) -> None:
        self.changed = False
        self.results: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, str] = {}
        self.diff: list[dict[str, Any]] = []
        self.extra: dict[str, Any] = {}

    def record(self, resource_id: str, **observed: Any) -> None:
        """Add what was observed of a resource; several calls for one resource add up."""
        self.results.setdefault(resource_id, {}).update(observed)

    def change(self, header: str, before: Any, after: Any) -> bool:
        """Note one difference between the real and the desired state; True when there is one."""
        if before == after:
            return False
        self.changed = True
        self.diff.append({"before_header": header, "after_header": header, "before": before, "after": after})
        return True

    def fail(self, resource_id: str, sentence: str) -> None:
        """Note that a resource failed, in a sentence that says what to do; a second failure of it adds its sentence."""
        known = self.failures.get(resource_id)
        self.failures[resource_id] = f"{known} {sentence}" if known else sentence

    def as_dict(self) -> dict[str, Any]:
        """The module's return values, without ``failed`` and ``msg``."""
        stats = {"data": {"results": self.results}, "per_host": True, "aggregate": True}
        return {"changed": self.changed, "ansible_stats": stats, **self.extra}

    def exit(self, module: AnsibleModule) -> NoReturn:
        """End the module: as a failure when a resource failed, else with the results.

        The invocation is left out of the answer, because arguments hold tenants' secrets.
        """
        values = {**self.as_dict(), "invocation": {}}
        if self.diff and (module._diff or module.check_mode):
            values["diff"] = self.diff
        if self.failures:
            sentences = "\n".join(f"{resource}: {sentence}" for resource, sentence in sorted(self.failures.items()))
            module.fail_json(msg=sentences, failed_resources=sorted(self.failures), failures=self.failures, **values)
        module.exit_json(**values)
