"""Ansible as the warm process holds it: loaded once, run in forks. The only place that touches Ansible's own classes.

`PlaybookCLI._play_prereqs` is no public name; tests/unit/engine/test_warm_ansible.py fails when it changes.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import ansible_runner  # noqa: F401 (loaded here for the forks)
from ansible import constants
from ansible.cli import CLI
from ansible.cli.playbook import PlaybookCLI
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins import loader as plugins
from ansible.template import Templar
from ansible.utils.collection_loader import _collection_finder
from ansible.vars.manager import VariableManager

from api.engine import processes

COLLECTION = "stratiform.cloud"
CONNECTION_VARIABLES = (
    "ansible_connection", "ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file",
    "ansible_ssh_common_args", "ansible_python_interpreter",
)  # fmt: skip
LAZY_MODULES = (
    "ansible.executor.process.worker", "ansible.executor.task_executor", "ansible.executor.module_common",
    "ansible.executor.interpreter_discovery", "ansible.executor.powershell.module_manifest",
    "ansible.playbook.handler_task_include", "multiprocessing.popen_fork", "multiprocessing.synchronize",
)  # fmt: skip
"""What a run would import by itself, and each of them anew."""

Prerequisites = tuple[DataLoader, InventoryManager, VariableManager]


class Ansible:
    """The loaded inventory and plugins."""

    def __init__(self, inventory: str, project_dir: str) -> None:
        plugins.init_plugin_loader([])
        self.loader = DataLoader()
        self.loader.set_vault_secrets(
            CLI.setup_vault_secrets(self.loader, vault_ids=constants.DEFAULT_VAULT_IDENTITY_LIST, auto_prompt=False)
        )
        with _parsing_apart():
            importlib.import_module("ansible_collections.ansible.builtin")
        self.inventory = InventoryManager(loader=self.loader, sources=[inventory])
        self.version_info = CLI.version_info(gitinfo=False)
        variables = self._variables()
        self.hosts = {host.name: self._host(host, variables) for host in self.inventory.get_hosts()}
        """Per host its groups, our variables (templated) and how to connect."""
        _preload(project_dir)

    def _variables(self) -> VariableManager:
        """Made anew for each run, because it takes the command line's extra variables."""
        return VariableManager(loader=self.loader, inventory=self.inventory, version_info=self.version_info)

    def _host(self, host: Any, variables: VariableManager) -> dict[str, Any]:
        values = variables.get_vars(host=host)
        templar = Templar(loader=self.loader, variables=values)

        def picked(names: list[str]) -> dict[str, Any]:
            return {name: templar.template(values[name]) for name in sorted(names)}

        return {
            "groups": sorted(group.name for group in host.get_groups() if group.name not in ("all", "ungrouped")),
            "variables": picked([name for name in values if name.startswith("stratiform_")]),
            "connection": picked([name for name in CONNECTION_VARIABLES if name in values]),
        }

    def play(self, arguments: list[str]) -> int:
        """Runs the command line of an `ansible-playbook`; its exit code. In a fork only: it leaves its state behind."""
        loaded = self

        class WarmPlaybookCLI(PlaybookCLI):  # type: ignore[misc]
            """ansible-playbook that finds its inventory loaded."""

            def _play_prereqs(self) -> Prerequisites:
                return loaded.loader, loaded.inventory, loaded._variables()

        os.register_at_fork(before=_note_parent, after_in_child=_end_with_parent)
        warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
        try:
            WarmPlaybookCLI.cli_executor(arguments)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1
        return 0


@contextlib.contextmanager
def _parsing_apart() -> Iterator[None]:
    """Lets collections' routing be parsed in a fork: Ansible's own list of plugins would leave 5 MB of YAML behind.

    Ansible means this function to be replaced where needed: see its docstring in `_collection_meta.py`.
    """
    parse = _collection_finder._meta_yml_to_dict

    def parse_apart(text: bytes, content_id: object) -> Any:
        reader, writer = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(reader)  # else it would wait for itself when its parent is killed before it has read
                processes.end_with_parent(signal.SIGKILL, parent)
                with os.fdopen(writer, "w") as pipe:
                    json.dump(parse(text, content_id), pipe)
                code = 0
            finally:
                os._exit(code)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            result = pipe.read()
        if os.waitpid(pid, 0)[1] != 0:
            return parse(text, content_id)  # it tells what is wrong
        return json.loads(result)

    _collection_finder._meta_yml_to_dict = parse_apart
    try:
        yield
    finally:
        _collection_finder._meta_yml_to_dict = parse


_parent = 0


def _note_parent() -> None:
    global _parent
    _parent = os.getpid()


def _end_with_parent() -> None:
    """Ansible's workers leave the run's process group, so they must learn otherwise that it was killed."""
    processes.end_with_parent(signal.SIGTERM, _parent)


def _preload(project_dir: str) -> None:
    """Loads the plugins that our runs use."""
    for name in LAZY_MODULES:
        importlib.import_module(name)
    # Before a play Ansible looks at every plugin of these kinds, for their options.
    for looked_through in (
        plugins.connection_loader, plugins.shell_loader, plugins.become_loader, plugins.callback_loader,
        plugins.vars_loader, plugins.cache_loader,
    ):  # fmt: skip
        list(looked_through.all(class_only=True))
    wanted = [
        (plugins.strategy_loader, ["linear"]),
        (plugins.callback_loader, [f"{COLLECTION}.stratiform_events"]),
        (plugins.action_loader, ["normal", "debug", "assert", "fail", *_our_actions(project_dir)]),
    ]
    for loader, names in wanted:
        for name in names:
            loader.get(name, class_only=True)


def _our_actions(project_dir: str) -> list[str]:
    files = os.listdir(os.path.join(project_dir, "plugins", "action"))
    return [f"{COLLECTION}.{name[:-3]}" for name in sorted(files) if name.endswith(".py") and not name.startswith("_")]
