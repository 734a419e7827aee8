"""Controller's side of `code_tree`: hash the sources, and send them as one archive when the host has others."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

IGNORED_FOLDERS = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".git", ".venv", ".ansible"}


def files_of(source: Path) -> list[Path]:
    """The files below a folder (or the file itself), in a fixed order, without what tools leave behind."""
    if source.is_file():
        return [source]
    found: list[Path] = []
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
        found.extend(Path(folder) / name for name in sorted(names) if not name.endswith(".pyc"))
    return found


def collect(trees: list[dict[str, str]]) -> list[tuple[str, bytes, int]]:
    """Name in the destination, content and mode of every file."""
    entries: list[tuple[str, bytes, int]] = []
    for tree in trees:
        prefix = Path(tree["to"])
        if "text" in tree:
            entries.append((str(prefix), tree["text"].encode(), 0o644))
            continue
        source = Path(tree["from"])
        if not source.exists():
            raise AnsibleActionFail(f"code_tree: {source} does not exist on the controller")
        for path in files_of(source):
            name = str(prefix if source.is_file() else prefix / path.relative_to(source))
            entries.append((name, path.read_bytes(), 0o755 if os.access(path, os.X_OK) else 0o644))
    return entries


def version_of(entries: list[tuple[str, bytes, int]]) -> str:
    digest = hashlib.sha256()
    for name, content, mode in entries:
        digest.update(f"{name}\0{mode}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def archive(entries: list[tuple[str, bytes, int]], target: Path) -> None:
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for name, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))


class ActionModule(ActionBase):
    """Ask the host for its version; send the archive only when it differs."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        entries = collect(arguments.pop("trees", []))
        if not entries:
            raise AnsibleActionFail("code_tree: trees holds no files")
        arguments["version"] = version_of(entries)
        result = self._execute_module(module_args=arguments, task_vars=task_vars)
        if not result.get("changed") or result.get("failed") or self._task.check_mode:
            return result
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as local:
            archive(entries, Path(local.name))
            remote = self._connection._shell.join_path(self._make_tmp_path(), "code.tar.gz")
            self._transfer_file(local.name, remote)
            result = self._execute_module(module_args={**arguments, "archive": remote}, task_vars=task_vars)
        self._remove_tmp_path(self._connection._shell.tmpdir)
        return result
