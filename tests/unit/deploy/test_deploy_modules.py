"""The deployment's modules that need no host: each runs with a Python of its own, in a private folder."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[3]
RUN = """
import importlib, sys
from ansible.module_utils import basic
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
basic._ANSIBLE_PROFILE = "legacy"
importlib.import_module("ansible_collections.stratiform.cloud.plugins.modules." + sys.argv[1]).main()
"""


@pytest.fixture
def run_module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a module and gives its result."""
    root = tmp_path_factory.mktemp("collections")
    (root / "ansible_collections/stratiform").mkdir(parents=True)
    (root / "ansible_collections/stratiform/cloud").symlink_to(REPO)

    def run(name: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        document = {"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check}}
        process = subprocess.run(
            [sys.executable, "-c", RUN, name],
            input=json.dumps(document).encode(),
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(root)},
            check=False,
            timeout=60,
        )
        assert process.stdout, process.stderr.decode()
        result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
        return result

    return run


ENTRY = {"username": "demo", "password": "s3cret", "project_name": "demo"}
CLOUDS = {"auth_url": "https://cloud:8443/identity/v3", "region": "RegionOne", "authority": "PEM\n"}


def test_clouds_file_keeps_other_entries_and_comments(run_module: Any, tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text("# mine\nclouds:\n  work:   # do not touch\n    auth: {auth_url: 'https://work/v3'}\n")
    arguments = {"directory": str(tmp_path), "clouds": {"stratiform": ENTRY}, **CLOUDS}
    assert run_module("clouds_file", check=True, **arguments)["changed"]
    assert "stratiform" not in path.read_text()
    assert run_module("clouds_file", **arguments)["changed"]
    text = path.read_text()
    assert "# mine" in text and "# do not touch" in text
    clouds = yaml.safe_load(text)["clouds"]
    assert clouds["work"] == {"auth": {"auth_url": "https://work/v3"}}
    assert clouds["stratiform"]["auth"]["password"] == "s3cret"
    assert clouds["stratiform"]["cacert"] == str(tmp_path / "stratiform-ca.crt")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not run_module("clouds_file", **arguments)["changed"]


def test_clouds_file_removes_what_it_made_and_no_more(run_module: Any, tmp_path: Path) -> None:
    arguments = {"directory": str(tmp_path), "clouds": {"stratiform": ENTRY}}
    run_module("clouds_file", **arguments, **CLOUDS)
    assert run_module("clouds_file", state="absent", **arguments)["changed"]
    assert list(tmp_path.iterdir()) == []
    assert not run_module("clouds_file", state="absent", **arguments)["changed"]


def test_clouds_file_refuses_a_file_that_it_does_not_understand(run_module: Any, tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text("clouds: [not, a, mapping]\n")
    result = run_module("clouds_file", directory=str(tmp_path), clouds={"stratiform": ENTRY}, **CLOUDS)
    assert result["failed"] and "must be a mapping" in result["msg"]
    assert path.read_text() == "clouds: [not, a, mapping]\n"


def test_secrets_are_generated_once(run_module: Any, tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    arguments = {"path": str(path), "names": ["one"], "owner": getpass.getuser()}
    result = run_module("generated_secrets", **arguments)
    assert result["changed"] and result["generated"] == ["one"] and "values" not in result
    value = tomllib.loads(path.read_text())["one"]
    assert len(value) >= 43
    assert path.stat().st_mode & 0o777 == 0o600
    assert not run_module("generated_secrets", **arguments)["changed"]
    run_module("generated_secrets", **{**arguments, "names": ["one", "two"]})
    assert tomllib.loads(path.read_text())["one"] == value


def test_a_damaged_secrets_file_is_not_replaced(run_module: Any, tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text("one = ")
    result = run_module("generated_secrets", path=str(path), names=["one"], owner=getpass.getuser())
    assert result["failed"] and "damaged" in result["msg"]
    assert path.read_text() == "one = "


def test_certificates_are_renewed_for_a_reason(run_module: Any, tmp_path: Path) -> None:
    arguments = {"directory": str(tmp_path), "names": ["127.0.0.1", "localhost"]}
    assert run_module("internal_certificate", **arguments)["reason"] == "there is no authority"
    assert not run_module("internal_certificate", **arguments)["changed"]
    authority = (tmp_path / "ca.crt").read_bytes()
    result = run_module("internal_certificate", **{**arguments, "names": ["127.0.0.1", "cloud.example.org"]})
    assert result["reason"] == "it lacks a name"
    current = {**arguments, "names": ["127.0.0.1", "cloud.example.org"]}
    assert run_module("internal_certificate", **current, renew_before_days=500)["reason"] == "it ends soon"
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert (tmp_path / "server.pem").stat().st_mode & 0o777 == 0o600


def test_host_files_finds_and_applies_the_same_difference(run_module: Any, tmp_path: Path) -> None:
    me = getpass.getuser()
    entries = [
        {"path": str(tmp_path / "d"), "state": "directory", "mode": "0700", "owner": me, "group": me},
        {"path": str(tmp_path / "d/f"), "content": "x\n", "mode": "0640", "owner": me, "group": me},
    ]
    assert run_module("host_files", entries=entries[:1], check=True)["paths"] == [str(tmp_path / "d")]
    assert not (tmp_path / "d").exists()
    assert run_module("host_files", entries=entries)["paths"] == [str(tmp_path / "d"), str(tmp_path / "d/f")]
    assert not run_module("host_files", entries=entries)["changed"]
    (tmp_path / "d/f").chmod(0o644)
    assert run_module("host_files", entries=entries)["paths"] == [str(tmp_path / "d/f")]


def test_host_files_gives_a_kept_file_back(run_module: Any, tmp_path: Path) -> None:
    me = getpass.getuser()
    path, kept = tmp_path / "qemu.conf", tmp_path / "qemu.conf.before"
    path.write_text("theirs\n")
    entry = {"path": str(path), "keep": str(kept), "owner": me, "group": me}
    run_module("host_files", entries=[{**entry, "content": "ours\n"}])
    run_module("host_files", entries=[{**entry, "content": "ours, newer\n"}])
    assert (path.read_text(), kept.read_text()) == ("ours, newer\n", "theirs\n")
    assert run_module("host_files", entries=[{**entry, "state": "absent"}])["changed"]
    assert path.read_text() == "theirs\n" and not kept.exists()
    assert not run_module("host_files", entries=[{**entry, "state": "absent"}])["changed"]
