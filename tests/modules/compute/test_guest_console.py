"""guest_console on files."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOST_PYTHON = os.environ.get("STRATIFORM_HOST_PYTHON", "/usr/bin/python3")
RunModule = Callable[..., dict[str, Any]]


def output(run_module: RunModule, path: Path, length: int | None) -> str:
    """What the module returns of the file."""
    result = run_module("guest_console", {"id": "server", "path": str(path), "length": length})
    assert not result["changed"]
    text: str = result["ansible_stats"]["data"]["results"]["server"]["output"]
    return text


def test_last_lines_and_bad_bytes(run_module: RunModule, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"one\ntwo \xff\xfe\nthree\n")
    assert output(run_module, log, 2) == "two \ufffd\ufffd\nthree\n"
    assert output(run_module, log, 0) == ""
    assert output(run_module, log, None).startswith("one\n")


def test_what_is_long_is_bounded_and_what_is_missing_is_empty(run_module: RunModule, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"x" * 300_000)
    assert len(output(run_module, log, -1)) == 100 * 1024
    assert output(run_module, tmp_path / "missing", 5) == ""


def test_a_long_log_is_cut_while_qemu_appends_to_it(host_tree: Path, tmp_path: Path) -> None:
    log = tmp_path / "instances" / "id" / "console.log"
    log.parent.mkdir(parents=True)
    with log.open("ab", buffering=0) as qemu:
        qemu.write(b"x" * (5 << 20) + b"end\n")
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]);"
            "from ansible_collections.stratiform.cloud.plugins.worker import consoles; consoles.trim_all(sys.argv[2])"
        )
        subprocess.run([HOST_PYTHON, "-I", "-c", code, str(host_tree), str(tmp_path)], check=True)
        assert log.stat().st_size == 1 << 20
        qemu.write(b"more\n")
    assert log.read_bytes().endswith(b"xend\nmore\n")
