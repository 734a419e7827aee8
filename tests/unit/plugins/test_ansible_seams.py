"""The places of Ansible's private code that the worker relies on: these fail when a new version moves them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_decoder, get_module_encoder
from ansible.plugins.action import ActionBase

PROFILE = "legacy"


def test_a_module_takes_its_arguments_from_where_the_worker_puts_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hasattr(basic, "_ANSIBLE_ARGS") and hasattr(basic, "_ANSIBLE_PROFILE")
    arguments: dict[str, Any] = {
        "name": "{{ 7*7 }}",
        "_ansible_check_mode": True,
        "_ansible_diff": True,
        "_ansible_no_log": True,
        "_ansible_module_name": "trial",
        "_ansible_verbosity": 0,
    }
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", PROFILE)
    module = basic.AnsibleModule({"name": {"type": "str"}}, supports_check_mode=True)
    assert module.params == {"name": "{{ 7*7 }}"}
    assert (module.check_mode, module._diff, module.no_log, module._name) == (True, True, True, "trial")
    with pytest.raises(SystemExit):
        module.exit_json(changed=False, invocation={})
    assert json.loads(capsys.readouterr().out) == {"changed": False, "invocation": {}}


def test_both_sides_know_the_serialization_profile() -> None:
    assert get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
    assert get_module_decoder(PROFILE, Direction.MODULE_TO_CONTROLLER)


def test_the_action_base_has_the_hook_that_keeps_arguments_out_of_the_log() -> None:
    assert callable(ActionBase._update_module_args)
