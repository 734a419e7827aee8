"""Names of Ansible and ansible-runner that are no public interface, or that must stay as we use them."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from ansible.cli import CLI
from ansible.cli.playbook import PlaybookCLI
from ansible.executor.process.worker import WorkerProcess
from ansible.inventory.manager import InventoryManager
from ansible.playbook.task import Task
from ansible.utils.collection_loader import _collection_finder
from ansible.vars.manager import VariableManager
from ansible_runner import Runner, RunnerConfig
from yaml import YAMLError

from api.engine.warm_ansible import _parsing_apart


def test_a_playbook_takes_its_inventory_from_play_prereqs() -> None:
    source = inspect.getsource(PlaybookCLI.run)
    assert "loader, inventory, variable_manager = self._play_prereqs()" in source
    assert list(inspect.signature(CLI._play_prereqs).parameters) == ["self"]
    assert {"loader", "sources"} <= set(inspect.signature(InventoryManager).parameters)
    assert {"loader", "inventory", "version_info"} <= set(inspect.signature(VariableManager).parameters)
    assert {"vault_ids", "auto_prompt"} <= set(inspect.signature(CLI.setup_vault_secrets).parameters)


def test_workers_end_their_own_group_at_sigterm() -> None:
    """We rely on it when a playbook is killed: the kernel then sends SIGTERM to Ansible's workers."""
    assert "os.killpg" in inspect.getsource(WorkerProcess._term)
    assert "signal.SIGTERM, self._term" in inspect.getsource(WorkerProcess.run)


def test_tasks_have_ids_for_the_callback() -> None:
    assert Task()._uuid


def test_runner_has_a_mode_without_a_terminal() -> None:
    assert "if self.runner_mode == 'subprocess':" in inspect.getsource(Runner.run)
    assert {"ident", "artifact_dir", "project_dir", "fact_cache_type", "quiet"} <= set(
        inspect.signature(RunnerConfig.__init__).parameters
    ) | set(inspect.signature(RunnerConfig.__mro__[1].__init__).parameters)


def test_routing_is_parsed_in_a_fork_as_ansible_does() -> None:
    assert "_meta_yml_to_dict(raw_routing, " in inspect.getsource(_collection_finder._AnsibleCollectionPkgLoader)
    parse = _collection_finder._meta_yml_to_dict
    text = b"plugin_routing: {modules: {ping: {redirect: ansible.builtin.ping}}}\naction_groups: {all: [ping, 1]}\n"
    with _parsing_apart():
        apart = _collection_finder._meta_yml_to_dict
        assert apart is not parse
        assert apart(text, None) == parse(text, None)
        with pytest.raises(YAMLError, match="expected"):
            apart(b"[a", None)
    assert _collection_finder._meta_yml_to_dict is parse


def test_the_fork_that_parses_ends_with_its_parent() -> None:
    """It has more to say than a pipe holds, to nobody."""
    program = """
import os, signal
from ansible.utils.collection_loader import _collection_finder as finder
from api.engine.warm_ansible import _parsing_apart
def parse(text, content_id):
    os.kill(os.getppid(), signal.SIGKILL)
    return "x" * 1_000_000
finder._meta_yml_to_dict = parse
with _parsing_apart():
    finder._meta_yml_to_dict(b"", None)
"""
    # Ends only when nobody has its output open any more: neither the program nor its fork.
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=60, check=False)
    assert ended.returncode == -9
