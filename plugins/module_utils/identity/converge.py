"""Find, diff, apply: the one way in which the identity modules bring a resource to its desired state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stratiform.cloud.plugins.module_utils.identity.client import Identity, Refused

STATE: dict[str, Any] = {"type": "str", "choices": ["present", "absent"], "default": "present"}
SECRET_SHOWN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


class Change:
    """One resource: what it is, what it should be, and the calls that lead from one to the other.

    ``wanted`` holds the attributes that the task gives; ``on_create`` those that only a new resource gets;
    ``secret`` those that are written but never shown. Attributes that the task does not give stay as they are.
    """

    def __init__(self, module: AnsibleModule, api: Identity, plural: str, noun: str) -> None:
        self.module, self.api, self.plural, self.noun = module, api, plural, noun
        self.changed = False
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}
        self.result: dict[str, Any] | None = None

    def present(
        self, found: dict[str, Any] | None, wanted: dict[str, Any], *, on_create: dict[str, Any] | None = None,
        secret: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Makes the resource, or changes what differs."""
        wanted = {name: value for name, value in wanted.items() if value is not None}
        hidden = dict.fromkeys(secret or {}, SECRET_SHOWN)
        if found is None:
            body = {**(on_create or {}), **wanted}
            body = {name: value for name, value in body.items() if value is not None}
            self._differs({}, {**body, **hidden})
            self.result = body
            if not self.module.check_mode:
                answer = self.api.call("POST", f"/{self.plural}", {self.noun: {**body, **(secret or {})}})
                self.result = answer[self.noun]
            return
        self.result = found
        different = {name: value for name, value in wanted.items() if found.get(name) != value}
        if not different and not secret:
            return
        self._differs({name: found.get(name) for name in different}, {**different, **hidden})
        self.result = {**found, **different}
        if not self.module.check_mode:
            body = {self.noun: {**different, **(secret or {})}}
            self.result = self.api.call("PATCH", f"/{self.plural}/{found['id']}", body)[self.noun]

    def absent(self, found: dict[str, Any] | None, *, first: dict[str, Any] | None = None) -> None:
        """Deletes the resource if it is there, after setting the attributes ``first``."""
        if found is None:
            return
        self._differs({name: found[name] for name in ("id", "name") if found.get(name)}, {})
        if self.module.check_mode:
            return
        if first and any(found.get(name) != value for name, value in first.items()):
            self.api.call("PATCH", f"/{self.plural}/{found['id']}", {self.noun: first})
        self.api.call("DELETE", f"/{self.plural}/{found['id']}")

    def also(self, name: str, before: Any, after: Any, apply: Callable[[], None]) -> None:
        """One more thing that belongs to the resource; ``apply`` is called when it differs, but not in check mode."""
        if before == after:
            return
        self._differs({name: before}, {name: after})
        if not self.module.check_mode:
            apply()

    def _differs(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        self.changed = True
        self.before.update(before)
        self.after.update(after)

    def exit(self) -> NoReturn:
        """Ends the module with the resource and the difference."""
        result: dict[str, Any] = {"changed": self.changed}
        if self.result is not None:
            result[self.noun] = {name: value for name, value in self.result.items() if name != "links"}
        if self.changed and (self.module._diff or self.module.check_mode):
            header = f"{self.noun} {self.module.params.get('name') or ''}".strip()
            headers = {"before_header": header, "after_header": header}
            result["diff"] = {**headers, "before": self.before, "after": self.after}
        self.module.exit_json(**result)


def run(module: AnsibleModule, plural: str, noun: str, converge: Callable[[Identity, Change], None]) -> NoReturn:
    """Runs a module's ``converge`` and ends the module, with the API's own sentence when it refuses."""
    api = Identity(module)
    change = Change(module, api, plural, noun)
    try:
        converge(api, change)
    except Refused as refused:
        module.fail_json(msg=refused.message, status=refused.status)
    change.exit()
