"""The base of our action plugins: it hands a section of the engine's request document to the module of the same name.

The document holds tenants' text. It is read here and passed on as data: nothing of it is templated, logged or
returned as the invocation. See docs/contracts.md, "Request document".
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.json import Direction, get_module_decoder
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import merge_hash

COLLECTION = "stratiform.cloud"
WORKER_SOCKET = "/run/stratiform/worker.sock"
# Ansible's own way of writing results; the worker's modules use the same one.
SERIALIZATION_PROFILE = "legacy"
CONNECT_TIMEOUT_S = 5.0


class RequestActionBase(ActionBase):
    """Runs the module that the action is named for, once for each section meant for this host."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset({"request", "step"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with the section of the request, or with the task's own arguments when there is no request."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        module_name = self._task.action.rsplit(".", 1)[-1]
        if "request" not in self._task.args:
            return self._execute_module(
                module_name=f"{COLLECTION}.{module_name}", module_args=dict(self._task.args), task_vars=task_vars
            )
        unknown = sorted(set(self._task.args) - self._VALID_ARGS)
        if unknown:
            raise AnsibleActionFail(
                f"request excludes other arguments: remove {', '.join(unknown)}, or remove request."
            )
        sections = self._sections(module_name, task_vars["inventory_hostname"])
        if not sections:
            return {"changed": False, "skipped": True, "skip_reason": "The request says nothing of this for the host."}
        combined: dict[str, Any] = {}
        for section in sections:
            result = self._run_section(module_name, section, task_vars)
            result.pop("invocation", None)
            combined = self._combine(combined, result)
            if combined.get("failed"):
                break
        return combined

    def _update_module_args(self, module_name: str, module_args: dict[str, Any], *more: Any, **named: Any) -> None:
        """As ever, but the host's log never gets the arguments: they hold tenants' secrets."""
        super()._update_module_args(module_name, module_args, *more, **named)
        module_args["_ansible_no_log"] = True

    def _sections(self, module_name: str, host: str) -> list[dict[str, Any]]:
        """Read what the request document asks of this module on this host; it may be nothing."""
        path = self._task.args["request"]
        step = self._task.args.get("step")
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        except OSError as error:
            raise AnsibleActionFail(
                f"The request document {path} cannot be read ({error.strerror}): give the path of a job's request.json."
            ) from error
        except ValueError as error:
            # The decoder's message may quote the document, which holds secrets.
            raise AnsibleActionFail(f"The request document {path} is not valid JSON: run the job again.") from error
        of_host = document.get("hosts", {}).get(host, {}) if isinstance(document, dict) else {}
        section = of_host.get(f"{module_name}#{step}" if step else module_name)
        if section is None:
            return []
        sections = section if isinstance(section, list) else [section]
        if not all(isinstance(item, dict) for item in sections):
            raise AnsibleActionFail(f"The request document {path} has a section for {module_name} that is no object.")
        return sections

    def _run_section(self, module_name: str, section: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module by the host's resident worker, or in the ordinary way when none answers."""
        worker = self._worker_connection()
        if worker is not None:
            with worker:
                result = self._run_by_worker(worker, module_name, section)
            if result is not None and not result.pop("unknown_module", False):
                return result
        return self._execute_module(module_name=f"{COLLECTION}.{module_name}", module_args=section, task_vars=task_vars)

    def _worker_connection(self) -> socket.socket | None:
        """Connect to the resident worker of this task's host; None when there is none within reach.

        Only a local connection has a way to it so far. Other connections get theirs here.
        """
        if self._connection.transport.rsplit(".", 1)[-1] != "local":
            return None
        return _connect(os.environ.get("STRATIFORM_WORKER_SOCKET", WORKER_SOCKET))

    def _run_by_worker(self, worker: socket.socket, module_name: str, section: dict[str, Any]) -> dict[str, Any] | None:
        """Send one call to the worker and wait for its result, however long the module takes.

        None when the worker died over it: the module is then run in the ordinary way, since modules converge.
        """
        call = {
            "op": "run",
            "module": module_name,
            "args": section,
            "check_mode": bool(self._task.check_mode),
            "diff": bool(self._task.diff),
            "verbosity": Display().verbosity,
        }
        try:
            worker.sendall(json.dumps(call).encode() + b"\n")
            with worker.makefile("rb") as answers:
                line = answers.readline()
        except OSError:
            return None
        if not line.endswith(b"\n"):
            return None
        result = json.loads(line, cls=get_module_decoder(SERIALIZATION_PROFILE, Direction.MODULE_TO_CONTROLLER))
        return dict(result)

    @staticmethod
    def _combine(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
        """One task result out of the results of several sections."""
        if not earlier:
            return later
        combined = {**earlier, **later}
        combined["changed"] = bool(earlier.get("changed") or later.get("changed"))
        diffs = [entry for result in (earlier, later) for entry in _as_list(result.get("diff"))]
        if diffs:
            combined["diff"] = diffs
        if "ansible_stats" in earlier and "ansible_stats" in later:
            combined["ansible_stats"] = merge_hash(earlier["ansible_stats"], later["ansible_stats"])
        return combined


def _as_list(value: Any) -> list[Any]:
    """A diff may be one entry or a list of them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _connect(path: str) -> socket.socket | None:
    """Open the worker's unix socket; None when nobody listens there or we may not."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_TIMEOUT_S)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    connection.settimeout(None)
    return connection
