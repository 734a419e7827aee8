"""What a tenant playbook may say, so that no word of a request comes near a template, a shell or a file name.

A tenant playbook names our modules and hands each the path of the request document; the module reads it itself. All
else that could carry or make text is refused: other modules, variables, loops, conditions on data, includes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REQUEST = "{{ stratiform_request }}"
PREFIX = "stratiform.cloud."
PLAY = {"name", "hosts", "gather_facts", "any_errors_fatal", "tasks", "serial", "strategy", "max_fail_percentage"}
TASK = {"name", "run_once", "throttle", "any_errors_fatal", "ignore_unreachable"}
ARGUMENTS = {"request", "step"}
BLOCK = {"block", "rescue", "always"}
_MARKS = ("{{", "{%", "{#", "!unsafe", "lookup(")


def wrong_with(text: str, modules: set[str]) -> list[str]:
    """What is wrong with a playbook's text; `modules` are ours, by their short names."""
    try:
        plays = yaml.load(text, _Plain)
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    if not isinstance(plays, list) or not plays:
        return ["no plays"]
    return [found for play in plays for found in _play(play, modules)]


class _Plain(yaml.SafeLoader):
    """YAML without tags of Ansible's own (`!vault`, `!unsafe`): they are refused as unknown."""


def _play(play: Any, modules: set[str]) -> Iterator[str]:
    if not isinstance(play, dict):
        yield f"no play: {play!r}"
        return
    for key in set(play) - PLAY:
        yield f"a play has {key!r}"
    if play.get("hosts") != "all":
        yield "a play's hosts are not 'all': where it runs is the engine's word (--limit)"
    if play.get("gather_facts") is not False:
        yield "a play gathers facts"
    yield from _constant(play, ("tasks",))
    for task in play.get("tasks") or ():
        yield from _task(task, modules)


def _task(task: Any, modules: set[str]) -> Iterator[str]:
    if not isinstance(task, dict):
        yield f"no task: {task!r}"
        return
    if "block" in task:
        for key in set(task) - BLOCK - TASK:
            yield f"a block has {key!r}"
        yield from _constant(task, tuple(BLOCK))
        for name in BLOCK & set(task):
            for inner in task[name]:
                yield from _task(inner, modules)
        return
    called = set(task) - TASK
    ours = {name for name in called if name.startswith(PREFIX) and name.removeprefix(PREFIX) in modules}
    for name in sorted(called - ours):
        yield f"a task has {name!r}: only our modules, with {sorted(TASK)}"
    if len(ours) != 1:
        yield f"a task calls {len(ours)} of our modules"
    yield from _constant(task, tuple(ours))
    for name in ours:
        yield from _arguments(name, task[name])


def _arguments(name: str, given: Any) -> Iterator[str]:
    if not isinstance(given, dict):
        yield f"{name} gets {given!r}"
        return
    for key in set(given) - ARGUMENTS:
        yield f"{name} gets {key!r}: a module takes its arguments from the request document"
    if given.get("request") != REQUEST:
        yield f"{name} is not given the request's path as it is: {given.get('request')!r}"
    yield from _constant(given, ("request",))


def _constant(values: dict[str, Any], but: tuple[str, ...]) -> Iterator[str]:
    """Everything is a constant, except what stands under these keys."""
    for key, value in values.items():
        if key in but:
            continue
        if not isinstance(value, str | int | bool) or any(mark in str(value) for mark in _MARKS):
            yield f"{key} is no constant: {value!r}"


def modules_of(repository: Path) -> set[str]:
    """The modules that take a request: those that have an action plugin over RequestActionBase."""
    return {
        path.stem for path in (repository / "plugins" / "action").glob("[a-z]*.py")
        if "RequestActionBase" in path.read_text()
    }  # fmt: skip
