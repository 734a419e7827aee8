"""The image builder's promises about the machine that it runs on."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "scripts/build_image.py"
    spec = importlib.util.spec_from_file_location("build_image", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["/victim", "../victim", "lib/../../victim", "link/victim"])
def test_no_name_leads_out_of_the_image(builder: ModuleType, tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    source = tmp_path / "source"
    source.write_text("new")
    victim = tmp_path / "victim"
    victim.write_text("the host's own")
    name = str(victim) if name == "/victim" else name
    with pytest.raises(SystemExit, match="leads out of the image"):
        builder.install(source, root, name)
    assert victim.read_text() == "the host's own"


def test_cpio_holds_files_links_and_the_console(builder: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tool").write_bytes(b"12345")
    (tmp_path / "bin/link").symlink_to("tool")
    archive = builder.cpio(tmp_path)
    assert len(archive) % 4 == 0 and archive.startswith(b"070701")
    for name in (b"bin/tool\0", b"bin/link\0", b"dev/console\0", b"TRAILER!!!\0"):
        assert name in archive


def test_the_fingerprint_follows_the_guests_files(
    builder: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rc").write_text("one")
    monkeypatch.setattr(builder, "FILES", tmp_path)
    before = builder.fingerprint()
    (tmp_path / "rc").write_text("two")
    assert builder.fingerprint() != before
