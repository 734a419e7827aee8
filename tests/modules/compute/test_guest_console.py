"""guest_console on files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
