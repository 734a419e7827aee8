"""Request data reaches plays only by way of our modules; the check that says so refuses what it should."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tenant_playbooks import modules_of, wrong_with  # noqa: E402

REPOSITORY = Path(__file__).parents[3]
PLAYBOOKS = sorted((REPOSITORY / "playbooks" / "tenant").rglob("*.y*ml"))
HEAD = "- name: Play\n  hosts: all\n  gather_facts: false\n"
GOOD = f"""{HEAD}  tasks:
    - name: Make the guests
      stratiform.cloud.libvirt_domain:
        request: "{{{{ stratiform_request }}}}"
        step: second
"""


def test_there_are_playbooks_and_modules() -> None:
    assert len(PLAYBOOKS) >= 9
    assert {"libvirt_domain", "network_bridge"} <= modules_of(REPOSITORY)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_tenant_playbooks_only_hand_the_request_on(path: Path) -> None:
    assert wrong_with(path.read_text(), modules_of(REPOSITORY)) == []


def test_a_good_playbook_passes() -> None:
    assert wrong_with(GOOD, modules_of(REPOSITORY)) == []


@pytest.mark.parametrize(
    "change",
    [
        ("      stratiform.cloud.libvirt_domain:\n", "      ansible.builtin.shell:\n"),
        ("      stratiform.cloud.libvirt_domain:\n", "      ansible.builtin.template:\n"),
        ("      stratiform.cloud.libvirt_domain:\n", "      community.general.anything:\n"),
        ("step: second", 'step: "{{ lookup(\'file\', stratiform_request) }}"'),
        ("step: second", "name: x"),
        ('request: "{{ stratiform_request }}"', 'request: "{{ stratiform_request | from_json }}"'),
        ('request: "{{ stratiform_request }}"', "request: !unsafe x"),
        ("    - name: Make the guests\n", '    - name: "Make {{ server }}"\n'),
        ("    - name: Make the guests\n", "    - name: x\n      when: request.name == 'x'\n"),
        ("    - name: Make the guests\n", "    - name: x\n      loop: [1]\n"),
        ("    - name: Make the guests\n", "    - name: x\n      vars: {a: b}\n"),
        ("    - name: Make the guests\n", "    - name: x\n      register: out\n"),
        ("    - name: Make the guests\n", "    - name: x\n      delegate_to: other\n"),
        ("    - name: Make the guests\n", "    - name: x\n      environment: {A: b}\n"),
        ("  hosts: all\n", '  hosts: "{{ target }}"\n'),
        ("  hosts: all\n", "  hosts: all\n  vars_files: [request.json]\n"),
        ("  hosts: all\n", "  hosts: all\n  roles: [x]\n"),
        ("  gather_facts: false\n", "  gather_facts: true\n"),
    ],
    ids=lambda change: change[1].strip()[:40],
)
def test_what_could_template_or_run_request_data_is_refused(change: tuple[str, str]) -> None:
    assert change[0] in GOOD
    assert wrong_with(GOOD.replace(*change), modules_of(REPOSITORY)) != []


def test_blocks_are_looked_into() -> None:
    inner = GOOD.replace(HEAD, "").replace("  tasks:\n", "").replace("\n", "\n    ")
    block = f"{HEAD}  tasks:\n    - name: Both\n      block:\n    {inner.rstrip()}\n"
    assert wrong_with(block, modules_of(REPOSITORY)) == []
    assert wrong_with(block.replace("stratiform.cloud.libvirt_domain", "ansible.builtin.command"), {"x"}) != []


def test_no_code_on_hosts_uses_a_shell() -> None:
    shell = re.compile(r"shell\s*=\s*True|use_unsafe_shell|os\.system\(|os\.popen\(|\bexec\(|\beval\(")
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in sorted((REPOSITORY / "plugins").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if shell.search(line)
    ]
    assert wrong == []
